package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/cluster"
	"github.com/wsgateway/gateway/cluster/nats"
	"github.com/wsgateway/gateway/cluster/natsd"
)

// room is where everybody talks.
const room = "lounge"

// serveNode is the process of one node: a gateway with a NATS server inside.
func serveNode(ctx context.Context) error {
	place, err := strconv.Atoi(os.Getenv(roleVariable))
	routes := strings.Split(os.Getenv(routesVariable), ",")
	if err != nil || place < 1 || place > len(routes) {
		return fmt.Errorf("%s is not the number of a place: %w", roleVariable, err)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("place", place)
	node, err := natsd.Join(ctx, &natsd.Options{
		Listen: routes[place-1], Routes: routes, Logger: log,
		NATS: &nats.Options{Cluster: &cluster.Options{
			Version: fmt.Sprint("place ", place), GoneAfter: 10 * time.Second, Logger: log,
		}},
	})
	if err != nil {
		return err
	}
	gw := newGateway(node, log)
	mux := http.NewServeMux()
	mux.Handle("/ws", gw)
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, r *http.Request) { serveState(gw, w, r) })
	mux.HandleFunc("GET /api/v1/solution/health", gw.ServeHealth)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(err, node.Close(ctx))
	}
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	fmt.Println(l.Addr(), node.Node()) // for the balancer
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
	}
	end, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(err, gw.Shutdown(end), srv.Shutdown(end))
}

// A line is what clients send and get.
type line struct {
	From string `json:"from,omitempty"` // a socket id
	Text string `json:"text,omitempty"`
	You  string `json:"you,omitempty"` // the id of the client's own socket
}

func newGateway(node *cluster.Node, log *slog.Logger) *gateway.Handler {
	var opts gateway.Options
	opts.Engine, opts.Logger = node, log
	gw := gateway.New(&opts)
	send := func(ctx context.Context, to func(context.Context, gateway.Message) error, l line) error {
		m, err := gateway.JSON(l)
		if err != nil {
			return err
		}
		return to(ctx, m)
	}
	everybody := func(ctx context.Context, m gateway.Message) error {
		_, err := gw.Group(room).Send(ctx, m) // on all nodes
		return err
	}
	gw.Handle("/ws", gateway.Callbacks{
		OnOpen: func(ctx context.Context, s *gateway.Socket) error {
			if err := gw.Group(room).Join(ctx, s.ID()); err != nil {
				return err
			}
			return send(ctx, s.Send, line{You: s.ID()})
		},
		OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			var l line
			if err := json.Unmarshal(m.Data, &l); err != nil {
				return &gateway.CloseError{Code: 1007, Reason: "not a line"}
			}
			return send(ctx, everybody, line{From: s.ID(), Text: l.Text})
		},
	})
	return gw
}

// serveState describes the cluster as this node sees it. What silent nodes have is
// missing, and they are named.
func serveState(gw *gateway.Handler, w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	var state struct {
		Nodes   []gateway.Node `json:"nodes"`
		Sockets []string       `json:"sockets"`
		Groups  map[string]int `json:"groups"`
		Silent  []string       `json:"silent"`
	}
	var err error
	if state.Nodes, err = gw.Nodes(ctx); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	state.Sockets, err = gw.List(ctx)
	state.Silent = gateway.ErrorOf(err).Nodes
	names, _ := gw.Groups(ctx) // of nodes that are silent: named above
	state.Groups = map[string]int{}
	for _, name := range names {
		state.Groups[name], _ = gw.Group(name).Len(ctx)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(state)
}
