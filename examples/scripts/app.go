package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua"
	"github.com/wsgateway/gateway/lua/keystore"
)

//go:embed page
var page embed.FS

// services are what the host offers its scripts besides the gateway itself.
func services() map[string]lua.Service {
	return map[string]lua.Service{"Keystore": keystore.New(nil).Service()}
}

// An app is the server: a gateway whose endpoints are scripts, and the page.
type app struct {
	http.Handler // immutable, as all here; each has its own lock

	dir      string // "": the bundled solution
	gw       *gateway.Handler
	host     *lua.Host
	log      *logbook
	deployer *deployer
}

func newApp(cfg config) *app {
	a := &app{dir: cfg.dir, gw: gateway.New(nil), log: newLogbook(slog.Default().Handler())}
	a.host = lua.New(a.gw, &lua.Options{
		Logger:          slog.New(a.log),
		Services:        services(),
		StatusOnSuccess: cfg.handlerStatus,
	})
	a.deployer = newDeployer(a.host, cfg.solution(), cfg.dir)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/solution/health", a.gw.ServeHealth)
	mux.HandleFunc("GET /api/scripts", a.serveState)
	mux.Handle("/", a.gw) // whatever is no upgrade is refused with an error object
	a.addPage(mux)
	a.Handler = socketsFirst(a.gw, secureHeaders(mux))
	return a
}

// addPage serves each file of the page under its name, and the page itself at
// the root.
func (a *app) addPage(mux *http.ServeMux) {
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // the name is that of the embedded directory
	}
	server := http.FileServerFS(files)
	mux.Handle("GET /{$}", server)
	names, err := fs.Glob(files, "*")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for _, name := range names {
		mux.Handle("GET /"+name, server)
	}
}

// socketsFirst gives the gateway every upgrade, whatever the path: a solution
// may have a route where the page is.
func socketsFirst(gw, rest http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			gw.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	})
}

// secureHeaders lets the page load only what is its own.
func secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

// start deploys the solution and, if it is a directory, goes on to deploy it
// after each change until ctx ends; the returned function waits for that. A
// directory whose solution has problems is no error: the page shows them, and an
// edit can mend them.
func (a *app) start(ctx context.Context) (wait func(), err error) {
	if a.dir == "" {
		return func() {}, a.deployer.deploy(ctx)
	}
	return watch(ctx, a.dir, func(ctx context.Context) { _ = a.deployer.deploy(ctx) }) // it keeps the error
}

// shutdown closes the sockets one after the other, then waits for compilations.
func (a *app) shutdown(drain time.Duration) error {
	end, cancel := context.WithTimeout(context.Background(), drain+10*time.Second)
	defer cancel()
	return errors.Join(a.gw.Drain(end, drain), a.gw.Shutdown(end), a.host.Shutdown(end))
}

// A view is what the page asks for again and again.
type view struct {
	State   state    `json:"state"`
	Scripts []script `json:"scripts"`
	Open    int      `json:"open"` // sockets
	Log     []entry  `json:"log"`  // what was logged after the entry that the page has
}

type script struct {
	File   string  `json:"file"`
	Route  string  `json:"route"` // "" for an event handler
	Runs   int64   `json:"runs"`
	Errors int64   `json:"errors"`
	Micros float64 `json:"micros"` // of a run, on average
}

// serveState answers GET /api/scripts?after=N, N being the number of the last
// entry of the log that the page has.
func (a *app) serveState(w http.ResponseWriter, r *http.Request) {
	after, _ := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64) // 0: from the beginning
	v := view{State: a.deployer.current(), Scripts: []script{}, Open: a.gw.Stats().Open, Log: a.log.after(after)}
	for _, s := range a.host.Stats() {
		one := script{File: s.File, Route: s.Route, Runs: s.Runs, Errors: s.Errors}
		if s.Runs > 0 {
			one.Micros = float64(s.Time.Nanoseconds()) / 1e3 / float64(s.Runs)
		}
		v.Scripts = append(v.Scripts, one)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // fails only where the client has gone
}
