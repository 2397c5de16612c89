// Quickstart is an ordinary small web app with a gateway in it: pages, a JSON
// API, middleware, and WebSocket endpoints side by side on one mux.
//
//	go run ./examples/quickstart
//
// It has no login: everybody who can reach it may use its API. Serve it to yourself, or
// put authentication in front (see Options.Authorize).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/wsgateway/gateway"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to serve on")
	drain := flag.Duration("drain", 5*time.Second,
		"`time` over which the sockets are sent away when the program is to end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if err := serve(ctx, *addr, *drain); err != nil {
		slog.Error("quickstart", "error", err)
		os.Exit(1)
	}
}

// newApp returns the app's handler and the gateway in it.
func newApp() (http.Handler, *gateway.Handler) {
	gw := gateway.New(nil)
	gw.Handle("/echo", echo)
	gw.HandleRoute(chatRooms(gw))

	mux := http.NewServeMux()
	mux.Handle("/echo", gw)
	mux.Handle("/rooms/", gw)
	mux.Handle("/api/sockets", operations(gw))
	mux.Handle("/api/sockets/", operations(gw))
	mux.HandleFunc("GET /api/v1/solution/health", gw.ServeHealth)
	mux.Handle("/", pages())
	return logRequests(secureHeaders(mux)), gw
}

// serve runs the app until ctx ends, and then sends its sockets away over some time.
func serve(ctx context.Context, addr string, drain time.Duration) error {
	app, gw := newApp()
	srv := &http.Server{
		Handler:           app,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second, // of requests; sockets are the gateway's
		WriteTimeout:      15 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Printf("quickstart: http://%s\n", ln.Addr())
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
