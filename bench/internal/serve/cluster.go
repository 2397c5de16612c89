package serve

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/cluster"
	"github.com/wsgateway/gateway/cluster/nats"
	"github.com/wsgateway/gateway/cluster/natsd"
)

// NATS is the name of the server that is a NATS server: it listens at Config.Cluster.
const NATS = "nats"

// A natsServer is a process with a NATS server and nothing else.
type natsServer struct{ *natsd.Server }

func newNATS(cfg Config) (server, error) {
	s, err := natsd.Start(&natsd.Options{Clients: cfg.Cluster, Logger: quiet})
	if err != nil {
		return nil, err
	}
	return natsServer{s}, nil
}

var quiet = slog.New(slog.DiscardHandler)

var errNoSockets = errors.New("a NATS server has no sockets")

// serve keeps the process going; nobody connects.
func (natsServer) serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		c.Close()
	}
}

func (natsServer) broadcast([]byte) error    { return errNoSockets }
func (natsServer) ids() []string             { return nil }
func (natsServer) send(string, []byte) error { return errNoSockets }

// clustered is the gateway as a node, with its defaults. All sockets of all nodes are in
// one group.
type clustered struct {
	*ours
	node *cluster.Node
}

func newClustered(cfg Config) (server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	node, err := nats.Join(ctx, "nats://"+cfg.Cluster, &nats.Options{
		Cluster: &cluster.Options{Logger: quiet},
	})
	if err != nil {
		return nil, err
	}
	opts := &gateway.Options{Engine: node, Logger: quiet, MaxSocketsPerAddr: -1}
	opts.Authorize = func(*http.Request) (*gateway.Admission, error) {
		return &gateway.Admission{Groups: []string{everyone}}, nil
	}
	return &clustered{onGateway(opts, echo), node}, nil
}

// broadcast sends to the members on all nodes.
func (s *clustered) broadcast(m []byte) error {
	_, err := s.gw.Group(everyone).Send(context.Background(), gateway.Text(m))
	return err
}

// ids are those of this node: whoever asks waits for the sockets that it has opened here.
func (s *clustered) ids() []string {
	var own []string
	for id, err := range s.gw.ListSeq(context.Background()) {
		if err == nil && id[:len(s.node.Node())] == s.node.Node() {
			own = append(own, id)
		}
	}
	return own
}
