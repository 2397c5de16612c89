// Cluster is three gateways in three processes, each with a NATS server inside, behind a
// balancer that sends every client to the next one. Its page shows the nodes and lets
// people chat across them, and has buttons that kill a node and that drain one: clients
// come back elsewhere, and a new process takes the place.
//
//	go run ./examples/cluster
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
)

//go:embed page
var files embed.FS

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to serve on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	run := func() error { return balance(ctx, *addr) }
	if os.Getenv(roleVariable) != "" {
		run = func() error { return serveNode(ctx) }
	}
	if err := run(); err != nil {
		slog.Error("cluster", "error", err)
		os.Exit(1)
	}
}

// balance runs the nodes and the balancer until ctx ends.
func balance(ctx context.Context, addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	b := &balancer{next: map[string]int{}}
	if err := b.start(ctx); err != nil {
		return errors.Join(err, l.Close(), b.stop())
	}
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the name is that of the embedded directory
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", b.forward)
	mux.HandleFunc("GET /state", b.forward)
	mux.HandleFunc("POST /kill", b.kill)
	mux.HandleFunc("POST /drain", b.drain)
	mux.Handle("/", http.FileServerFS(page))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	fmt.Printf("three gateways behind http://%s\n", l.Addr())
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
	}
	err = errors.Join(err, b.stop()) // closes the sockets; the balancer carries the frames
	end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return errors.Join(err, srv.Shutdown(end))
}
