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
	"github.com/wsgateway/gateway/lua/httpclient"
	"github.com/wsgateway/gateway/lua/keystore"
)

//go:embed page
var page embed.FS

// options are how the host runs its scripts, with what it offers them besides the
// gateway itself.
func options(logger *slog.Logger, t *timers, http *httpclient.Client) *lua.Options {
	return &lua.Options{
		Logger: logger,
		Services: map[string]lua.Service{
			"Keystore": keystore.New(nil).Service(), "Timer": t.service(), "Http": http.Service(),
		},
		Triggers: []string{"timer", "device2"},
	}
}

// An app is the server: a gateway whose endpoints are scripts, and the page.
type app struct {
	http.Handler // immutable, as all here; each has its own lock

	dir      string // "": the bundled solution
	gw       *gateway.Handler
	host     *lua.Host
	log      *logbook
	deployer *deployer
	timers   *timers
	http     *httpclient.Client
}

func newApp(cfg config) *app {
	a := &app{
		dir: cfg.dir, gw: gateway.New(nil), log: newLogbook(slog.Default().Handler()),
		timers: newTimers(),
		http:   httpclient.New(&httpclient.Options{Allow: cfg.allowHTTP}),
	}
	opts := options(slog.New(a.log), a.timers, a.http)
	opts.StatusOnSuccess = cfg.handlerStatus
	a.host = lua.New(a.gw, opts)
	a.timers.trigger = a.host.Trigger // before scripts can set any
	a.deployer = newDeployer(a.host, cfg.solution(), cfg.dir)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/solution/health", a.gw.ServeHealth)
	mux.HandleFunc("GET /api/scripts", a.serveState)
	reports := http.HandlerFunc(a.serveReport) // other sites must not report in a visitor's name
	mux.Handle("POST /api/devices/{identity}", http.NewCrossOriginProtection().Handler(reports))
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
		w.Header().Set("Content-Security-Policy",
			"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
				"base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
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
	d := a.deployer // it keeps the errors
	return watchPatiently(ctx, a.dir, d.removes, func(ctx context.Context) { _ = d.deploy(ctx) })
}

// shutdown closes the sockets one after the other, ends the timers, then waits for
// compilations.
func (a *app) shutdown(drain time.Duration) error {
	end, cancel := context.WithTimeout(context.Background(), drain+10*time.Second)
	defer cancel()
	err := errors.Join(a.gw.Drain(end, drain), a.gw.Shutdown(end))
	a.timers.close() // their handlers run in the host
	err = errors.Join(err, a.host.Shutdown(end))
	a.http.Close()
	return err
}

// A view is what the page asks for again and again.
type view struct {
	State   state    `json:"state"`
	Scripts []script `json:"scripts"`
	Open    int      `json:"open"` // sockets
	Log     []entry  `json:"log"`  // what was logged after the entry that the page has
}

type script struct {
	File    string  `json:"file"`
	Route   string  `json:"route"` // "" for an event handler
	Event   string  `json:"event"` // of an event handler
	Runs    int64   `json:"runs"`
	Errors  int64   `json:"errors"`
	Refused int64   `json:"refused"` // operations and calls of services that failed
	Micros  float64 `json:"micros"`  // of a run, on average
	Bounds  []bound `json:"bounds"`
}

// A bound is one of those that each run has, and how near a run of the script came.
type bound struct {
	Name  string  `json:"name"`
	Most  float64 `json:"most"`  // that one run has used
	Limit float64 `json:"limit"` // 0: none
	Unit  string  `json:"unit"`
}

// boundsOf returns those that a script can come near to.
func boundsOf(most lua.Usage, l lua.Limits) []bound {
	bounds := []bound{
		{"instructions", float64(most.Instructions), float64(l.Instructions), ""},
		{"computing", most.Time.Seconds(), l.Time.Seconds(), "s"},
		{"in all", most.Total.Seconds(), l.Total.Seconds(), "s"},
		{"memory", float64(most.Memory), float64(l.Memory), "B"},
		{"sent and printed", float64(most.Output), float64(l.Output), "B"},
		{"lines", float64(most.Lines), float64(l.Lines), ""},
	}
	for i := range bounds {
		bounds[i].Limit = max(0, bounds[i].Limit)
	}
	return bounds
}

// serveState answers GET /api/scripts?after=N, N being the number of the last
// entry of the log that the page has.
func (a *app) serveState(w http.ResponseWriter, r *http.Request) {
	after, _ := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64) // 0: from the beginning
	v := view{State: a.deployer.current(), Scripts: []script{}, Open: a.gw.Stats().Open,
		Log: a.log.after(after)}
	limits := a.host.Limits()
	for _, s := range a.host.Stats() {
		one := script{
			File: s.File, Route: s.Route, Event: s.Event, Runs: s.Runs, Errors: s.Errors, Refused: s.Refused,
			Bounds: boundsOf(s.Most, limits),
		}
		if s.Runs > 0 {
			one.Micros = float64(s.Time.Nanoseconds()) / 1e3 / float64(s.Runs)
		}
		v.Scripts = append(v.Scripts, one)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // fails only where the client has gone
}
