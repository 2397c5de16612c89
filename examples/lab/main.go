// Lab is the server that test programs drive. It has a route for each thing that a
// gateway can do, the operations over plain HTTP, and figures of the process. It is not
// an example of an application: /info shows credentials, and everybody may call it.
// Keep it on the loopback interface.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
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
	var cfg config
	flag.StringVar(&cfg.addr, "addr", "127.0.0.1:9001",
		"listen on `host:port`; port 0 takes a free one")
	flag.Int64Var(&cfg.limit, "limit", 16<<20, "largest message of /echo, in `bytes`, in and out")
	flag.BoolVar(&cfg.deflate, "deflate", false, "negotiate permessage-deflate")
	flag.DurationVar(&cfg.ping, "ping", 5*time.Second, "ping `interval`, and the time to answer")
	flag.DurationVar(&cfg.drain, "drain", 0,
		"`time` over which sockets are sent away at the end, with 1012; 0: at once, with 1001")
	flag.StringVar(&cfg.logFile, "log", "",
		"write everything logged to `file` as JSON; without it, warnings go to stderr")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, cfg, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

type config struct {
	addr    string
	limit   int64
	deflate bool
	ping    time.Duration
	drain   time.Duration
	logFile string
}

// Shutting down takes at most this long in all: for the clients to answer, for
// the close events of those that were cut, for what is left of plain requests.
const (
	clientGrace = 3 * time.Second
	eventGrace  = time.Second
	serverGrace = 500 * time.Millisecond
)

// run serves until ctx ends and then shuts down. It prints the address once it
// listens, and the number of events once all are delivered.
func run(ctx context.Context, cfg config, out io.Writer) error {
	logger, closeLog, err := openLog(cfg.logFile)
	if err != nil {
		return err
	}
	defer closeLog()
	ln, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return err
	}
	l := newLab(cfg, logger)
	srv := &http.Server{
		Handler:           l,
		ReadHeaderTimeout: 5 * time.Second, // a handshake that comes slowly
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second, // neither counts once a socket is open
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelInfo),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	fmt.Fprintln(out, "lab: listening on", ln.Addr())

	select {
	case err = <-served:
	case <-ctx.Done():
	}
	// The gateway first: http.Server.Shutdown neither sees nor closes sockets,
	// and the health route has to answer meanwhile.
	if cfg.drain > 0 {
		err = errors.Join(err, within(cfg.drain+clientGrace, func(ctx context.Context) error {
			return l.gw.Drain(ctx, cfg.drain)
		}))
	}
	drained := within(clientGrace, l.gw.Shutdown)
	if errors.Is(drained, gateway.ErrTimeout) {
		logger.Warn("clients that did not answer were cut", "error", drained)
		drained = within(eventGrace, l.gw.Shutdown)
	}
	err = errors.Join(err, drained)
	if within(serverGrace, srv.Shutdown) != nil {
		err = errors.Join(err, srv.Close()) // a plain request that does not end is no reason to stay
	}
	opened, closed := l.journal.counts()
	fmt.Fprintf(out, "lab: %d open events, %d close events\n", opened, closed)
	return err
}

func within(d time.Duration, fn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return fn(ctx)
}

// openLog returns the logger and a function that closes its file.
func openLog(file string) (*slog.Logger, func(), error) {
	if file == "" {
		h := slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})
		return slog.New(h), func() {}, nil
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, err
	}
	h := slog.NewJSONHandler(f, &slog.HandlerOptions{Level: slog.LevelDebug})
	return slog.New(h), func() { _ = f.Close() }, nil
}
