// Package serve holds the servers that are measured, each written the way the
// documentation of its library shows, and the control channel that they share.
package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// A Config says how a server is to run.
type Config struct {
	TLS     bool `json:",omitempty"`
	Deflate bool `json:",omitempty"`
	// Buffer is how many messages may wait for one socket, where the library
	// has such a bound and loses what is above it; 0 is the library's default.
	Buffer int `json:",omitempty"`
	// Flood switches the limit on incoming messages off, in a workload that exceeds
	// what a server allows by default.
	Flood bool `json:",omitempty"`
	// Rest is after which silence the gateway's sockets rest, and Ping how often it pings
	// them; 0 is its default.
	Rest time.Duration `json:",omitempty"`
	Ping time.Duration `json:",omitempty"`
	// Cluster is the host:port of the server over which nodes of a cluster talk.
	Cluster string `json:",omitempty"`
}

// A server is one library in use. Every message it gets it sends back.
type server interface {
	// serve accepts connections until the listener is closed.
	serve(l net.Listener) error
	// broadcast sends a text message to every socket.
	broadcast(m []byte) error
	// ids are the sockets that are open.
	ids() []string
	// send sends a text message to one socket.
	send(id string, m []byte) error
}

// makers are the servers by name.
var makers = map[string]func(Config) (server, error){
	"raw":        newRaw,
	"coder":      newCoder,
	"gorilla":    newGorilla,
	"melody":     newMelody,
	"gws":        newGWS,
	"nbio":       newNBIO,
	"centrifuge": newCentrifuge,

	"gateway":      newGateway,
	"gateway-full": newGatewayFull,
	"gateway-bare": newGatewayBare,
	"gateway-lua":  newGatewayLua,

	"gateway-norest":   newGatewayNoRest,
	"gateway-hooked":   newGatewayHooked,
	"gateway-wrapped":  newGatewayWrapped,
	"gateway-indirect": newGatewayIndirect,
	"gateway-sync":     newGatewaySync,
	"gateway-keyed":    newGatewayKeyed,
	"gateway-each":     newGatewayEach,
	"gateway-keep":     newGatewayKeep,

	"gateway-10":   newCrowd,
	"gateway-100":  newCrowd,
	"gateway-1k":   newCrowd,
	"gateway-10k":  newCrowd,
	"gateway-100k": newCrowd,

	"map-1k":   newCrowdMap,
	"map-10k":  newCrowdMap,
	"map-100k": newCrowdMap,

	// For command cluster.
	NATS:               newNATS,
	"gateway-cluster":  newClustered,
	"centrifuge-redis": newCentrifugeRedis,
	"centrifuge-nats":  newCentrifugeNATS,
}

// Addresses is what a server process writes to its standard output when it is
// ready, as JSON in one line.
type Addresses struct {
	Service string // where the clients connect
	Control string // HTTP, for package proc
}

// Flag is the first argument of a process that is to be a server.
const Flag = "-serve"

// Run is the life of a server process: it serves until in ends, which is when
// the parent closes it or dies. The arguments are those after [Flag]: the name
// of the server and its Config as JSON.
func Run(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 2 {
		return fmt.Errorf("%s wants a name and a configuration", Flag)
	}
	var cfg Config
	if err := json.Unmarshal([]byte(args[1]), &cfg); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	maker, ok := makers[args[0]]
	if !ok {
		return fmt.Errorf("no server has the name %q", args[0])
	}
	s, err := maker(cfg)
	if err != nil {
		return err
	}
	return run(s, cfg, in, out)
}

func run(s server, cfg Config, in io.Reader, out io.Writer) error {
	service, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer service.Close()
	control, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer control.Close()
	addrs := Addresses{Service: service.Addr().String(), Control: control.Addr().String()}
	failed := make(chan error, 3)
	go func() {
		if cfg.TLS {
			failed <- serveTLS(s, service)
		} else {
			failed <- s.serve(service)
		}
	}()
	go func() { failed <- http.Serve(control, newControl(s)) }()
	go func() {
		_, err := io.Copy(io.Discard, in)
		failed <- err
	}()
	if err := json.NewEncoder(out).Encode(addrs); err != nil {
		return err
	}
	// What is open ends with the process: only the parent knows when it is done.
	return <-failed
}

// Main runs a server if the arguments of the process ask for one, and does not
// return then.
func Main() {
	if len(os.Args) < 2 || os.Args[1] != Flag {
		return
	}
	if err := Run(os.Args[2:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serveHTTP serves a WebSocket endpoint with the timeouts that a server on the
// Internet has.
func serveHTTP(l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return context.Background() },
	}
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
