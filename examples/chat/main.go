// Chat has rooms with a list of who is there and the last messages. A room is a group of
// sockets, to which its messages go. It is run as a product is: its people log in, its page
// opens sockets with tickets, its counters are for Prometheus, and when it is told to end it
// sends its sockets away one after the other.
//
//	go run ./examples/chat
//
// It prints where it is, and who may log in.
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/prometheus"
	"github.com/wsgateway/gateway/ticket"
)

//go:embed page
var files embed.FS

// A config says how the program runs.
type config struct {
	addr, metrics string
	users, key    string // files, or ""
	drain         time.Duration
}

func main() {
	var cfg config
	flag.StringVar(&cfg.addr, "addr", "127.0.0.1:8080", "address to serve on")
	flag.StringVar(&cfg.metrics, "metrics", "127.0.0.1:8081",
		"`address` for operators, with /metrics for Prometheus; nobody else should reach it")
	flag.StringVar(&cfg.users, "users", "",
		"`file` with a JSON object of passwords by name; without it, there are some for a demo")
	flag.StringVar(&cfg.key, "key", "", "`file` with at least 32 random bytes, which sign sessions "+
		"and tickets; without it, sessions end with the program")
	flag.DurationVar(&cfg.drain, "drain", 5*time.Second,
		"`time` over which the sockets are sent away when the program is to end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if err := serve(ctx, cfg); err != nil {
		slog.Error("chat", "error", err)
		os.Exit(1)
	}
}

// newApp returns the app's handler, and the chat in it, which is to be run.
func newApp(users map[string]string, key []byte) (http.Handler, *chat) {
	measured := prometheus.New(nil)
	c := &chat{
		gw:       gateway.New(&gateway.Options{Observer: measured.Observer()}),
		accounts: newAccounts(users, key),
		tickets:  ticket.New(&ticket.Options{Keys: [][]byte{derive(key, "tickets")}}),
		measured: measured,
		wake:     make(chan struct{}, 1),
		rooms:    map[string]*room{},
		changed:  map[*room]bool{},
	}
	measured.Watch(c.gw)
	c.gw.HandleRoute(c.route())

	mux := http.NewServeMux()
	mux.Handle("/rooms/", c.gw)
	mux.HandleFunc("POST /login", c.login)
	mux.HandleFunc("POST /logout", c.logout)
	mux.HandleFunc("POST /ticket", c.ticket)
	mux.HandleFunc("GET /api/v1/solution/health", c.gw.ServeHealth)
	mux.Handle("/", secureHeaders(c.pages()))
	// Requests of other sites' pages are refused; the gateway checks upgrades itself.
	return c.tickets.Wrap(http.NewCrossOriginProtection().Handler(mux)), c
}

// pages serves the page to those who are logged in, and the form to all others. A browser
// takes the room, which is behind the # of the address, along.
func (c *chat) pages() http.Handler {
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the name is that of the embedded directory
	}
	serve := http.FileServerFS(page)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			w.Header().Set("Cache-Control", "no-store")
			if _, ok := c.sessionOf(r); !ok {
				http.Redirect(w, r, "/login.html", http.StatusSeeOther)
				return
			}
		}
		serve.ServeHTTP(w, r)
	})
}

// secureHeaders lets the page load only what is its own.
func secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy",
			"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
				"base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// serve runs the app until ctx ends, and then sends its sockets away over some time.
func serve(ctx context.Context, cfg config) error {
	users, err := readUsers(cfg.users)
	if err != nil {
		return err
	}
	key, err := readKey(cfg.key)
	if err != nil {
		return err
	}
	app, c := newApp(users, key)
	ln, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return err
	}
	fmt.Printf("chat: http://%s\n", ln.Addr())
	stopMetrics, err := c.serveMetrics(cfg.metrics)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	defer stopMetrics()
	if cfg.users == "" {
		printUsers(users)
	}
	stop := c.start()
	defer stop()
	srv := &http.Server{
		Handler:           app,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second, // of requests; sockets are the gateway's
		WriteTimeout:      15 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	// The server neither sees nor closes sockets, so the gateway goes first. It goes on
	// to answer the health checks of a balancer, with 503, while the sockets leave.
	end, cancel := context.WithTimeout(context.Background(), cfg.drain+10*time.Second)
	defer cancel()
	return errors.Join(c.gw.Drain(end, cfg.drain), c.gw.Shutdown(end), srv.Shutdown(end))
}

func printUsers(passwords map[string]string) {
	fmt.Println("chat: log in with one of these names and passwords:")
	for _, user := range slices.Sorted(maps.Keys(passwords)) {
		fmt.Printf("  %-6s %s\n", user, passwords[user])
	}
}
