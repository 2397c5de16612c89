// Scripts serves endpoints that are written in Lua, and a page to try them.
//
//	go run ./examples/scripts                      # a solution that comes with it
//	go run ./examples/scripts -dir my/solution     # any other; edits are live within a second
//	go run ./examples/scripts -dir my/solution -check
//
// -check compiles the solution and runs its modules, without serving. It prints
// one "FILE:LINE: problem" each, FILE being relative to the directory, and exits
// with 1 if there is any.
//
// Besides the gateway, scripts have Keystore, Timer (timer.go) and Http, which calls the
// servers that the flag -http lists and no other. Devices without a socket report to
// POST /api/devices/NAME, which triggers the event "device2 event" (device.go):
//
//	curl -d '{"temperature": 21}' localhost:8080/api/devices/attic
//
// It has no login, and its page shows what scripts print: serve it to yourself,
// or put authentication in front (see Options.Authorize).
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

//go:embed solution
var bundled embed.FS

type config struct {
	addr          string
	dir           string // "": the bundled solution
	check         bool
	handlerStatus bool
	allowHTTP     []string      // servers that scripts may call
	drain         time.Duration // over which sockets are sent away at the end
}

func main() {
	var cfg config
	flag.StringVar(&cfg.addr, "addr", "127.0.0.1:8080", "`address` to serve on")
	flag.StringVar(&cfg.dir, "dir", "",
		"`directory` of the solution; without it, the one that comes with the example")
	flag.BoolVar(&cfg.check, "check", false, "compile the solution, print its problems and exit")
	flag.BoolVar(&cfg.handlerStatus, "handler-status", false,
		"Websocket.send and close return {status=204} on success instead of nil")
	flag.Func("http",
		"`servers` that scripts may call with Http, separated by commas, as in "+
			"api.example.com,*.example.org", func(s string) error {
			cfg.allowHTTP = append(cfg.allowHTTP, strings.Split(s, ",")...)
			return nil
		})
	flag.DurationVar(&cfg.drain, "drain", 5*time.Second,
		"`time` over which the sockets are sent away when the program is to end")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "scripts: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if err := run(ctx, cfg, os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, errProblems) { // which are printed
			slog.Error("scripts", "error", err)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, cfg config, stdout, stderr io.Writer) error {
	if cfg.check {
		return check(ctx, cfg.solution(), stdout, stderr)
	}
	return serve(ctx, cfg, stdout)
}

// solution returns the files of the solution.
func (c config) solution() fs.FS {
	if c.dir != "" {
		return os.DirFS(c.dir)
	}
	files, err := fs.Sub(bundled, "solution")
	if err != nil {
		panic(err) // the name is that of the embedded directory
	}
	return files
}

// serve runs the app until ctx ends.
func serve(ctx context.Context, cfg config, stdout io.Writer) error {
	ln, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := newApp(cfg)
	wait, err := a.start(ctx)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	srv := &http.Server{
		Handler:           a,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second, // of requests; sockets are the gateway's
		WriteTimeout:      15 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	fmt.Fprintf(stdout, "scripts: http://%s\n", ln.Addr())
	served := make(chan error, 1)
	go func() { // ends with srv.Shutdown, if not before
		served <- srv.Serve(ln)
		cancel()
	}()
	<-ctx.Done()
	wait() // nothing is deployed any more
	// The server neither sees nor closes sockets, so the gateway goes first; the
	// health route answers 503 meanwhile.
	err = a.shutdown(cfg.drain)
	end, cancelEnd := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancelEnd()
	err = errors.Join(err, srv.Shutdown(end))
	if stopped := <-served; !errors.Is(stopped, http.ErrServerClosed) {
		err = errors.Join(err, stopped)
	}
	return err
}
