// Chat has rooms with a list of who is there and the last messages. A room is a
// group of sockets: its messages go to the group, and the list of members is
// the group's.
//
//	go run ./examples/chat
//
// It has no login: people are who they say they are.
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/prometheus"
)

//go:embed page
var files embed.FS

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to serve on")
	drain := flag.Duration("drain", 5*time.Second,
		"`time` over which the sockets are sent away when the program is to end")
	metrics := flag.String("metrics", "",
		"`address` of its own on which to serve /metrics to Prometheus; without it, nobody")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if err := serve(ctx, *addr, *metrics, *drain); err != nil {
		slog.Error("chat", "error", err)
		os.Exit(1)
	}
}

// newApp returns the app's handler, the gateway in it, and the chat, which is to
// be run.
func newApp() (http.Handler, *gateway.Handler, *chat) {
	measured := prometheus.New(nil)
	gw := gateway.New(&gateway.Options{Observer: measured.Observer()})
	measured.Watch(gw)
	c := newChat(gw)
	c.measured = measured
	gw.HandleRoute(c.route())
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the name is that of the embedded directory
	}
	mux := http.NewServeMux()
	mux.Handle("/rooms/", gw)
	mux.HandleFunc("GET /api/v1/solution/health", gw.ServeHealth)
	mux.Handle("/", secureHeaders(http.FileServerFS(page)))
	return mux, gw, c
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
func serve(ctx context.Context, addr, metrics string, drain time.Duration) error {
	app, gw, c := newApp()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	stopMetrics, err := c.serveMetrics(metrics)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	defer stopMetrics()
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
	fmt.Printf("chat: http://%s\n", ln.Addr())
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	// The server neither sees nor closes sockets, so the gateway goes first. It goes on
	// to answer the health checks of a balancer, with 503, while the sockets leave.
	end, cancel := context.WithTimeout(context.Background(), drain+10*time.Second)
	defer cancel()
	return errors.Join(gw.Drain(end, drain), gw.Shutdown(end), srv.Shutdown(end))
}
