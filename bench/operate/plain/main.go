// Command plain serves echoes and nothing else, for the command operate, which also builds it
// with the gateway of older commits: it uses only what the first versions had.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"syscall"

	"github.com/wsgateway/gateway"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "plain:", err)
		os.Exit(1)
	}
}

func serve() error {
	gw := gateway.New(&gateway.Options{
		Logger: slog.New(slog.DiscardHandler), MaxSockets: -1, MaxSocketsPerAddr: -1,
		Limits: gateway.Limits{MessagesPerSecond: -1},
	})
	gw.Handle("/echo", gateway.Callbacks{
		OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			return s.Send(ctx, m)
		},
	})
	mux := http.NewServeMux()
	mux.Handle("/echo", gw)
	mux.HandleFunc("/usage", func(w http.ResponseWriter, _ *http.Request) {
		var r syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, `{"CPU": %d}`, r.Utime.Nano()+r.Stime.Nano())
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(ln, mux)
	fmt.Println(ln.Addr())
	io.Copy(io.Discard, os.Stdin) // all ends with the process, and that with its input
	return nil
}
