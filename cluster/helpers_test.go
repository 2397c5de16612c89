package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/cluster"
	"github.com/wsgateway/gateway/cluster/clustertest"
	"github.com/wsgateway/gateway/gatewaytest"
)

var ctx = context.Background()

// A member is one process of a cluster in memory: node, gateway, and a server.
type member struct {
	*gateway.Handler
	node *cluster.Node
	srv  *gatewaytest.Server

	mu  sync.Mutex
	ids []string
}

// join starts a member.
func join(t *testing.T, w *clustertest.Network, opts *cluster.Options) *member {
	t.Helper()
	o := cluster.Options{Logger: slog.New(slog.DiscardHandler)}
	if opts != nil {
		o = *opts
		o.Logger = slog.New(slog.DiscardHandler)
	}
	node, err := cluster.Join(ctx, w.NewTransport(), &o)
	if err != nil {
		t.Fatalf("Join: %v", err)
	}
	return serve(t, node)
}

func serve(t *testing.T, node *cluster.Node) *member {
	t.Helper()
	m := &member{node: node}
	m.Handler = gateway.New(&gateway.Options{
		Engine: node, Logger: slog.New(slog.DiscardHandler),
		Limits: gateway.Limits{MessagesPerSecond: -1},
		Authorize: func(r *http.Request) (*gateway.Admission, error) {
			return &gateway.Admission{Values: map[string]string{"user": r.Header.Get("User")},
				Groups: r.Header["Group"]}, nil
		},
	})
	m.Handle("/", gateway.Callbacks{OnOpen: func(ctx context.Context, s *gateway.Socket) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.ids = append(m.ids, s.ID())
		return nil
	}})
	m.srv = gatewaytest.NewServer(t, m.Handler)
	return m
}

// members starts several at the same time.
func members(t *testing.T, w *clustertest.Network, n int) (all []*member) {
	t.Helper()
	for range n {
		all = append(all, join(t, w, nil))
	}
	time.Sleep(2 * time.Second) // everybody has heard of everybody, and of all groups
	synctest.Wait()
	return all
}

// open connects a client and returns the id of its socket.
func (m *member) open(t *testing.T, groups ...string) (string, *gatewaytest.Peer) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://gateway.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header["Group"] = groups
	r.Header.Set("User", "ann")
	p, resp := m.srv.DialRequest(t, r)
	if p == nil {
		t.Fatalf("the upgrade was refused: %v", resp.Status)
	}
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ids[len(m.ids)-1], p
}

func (m *member) name() string { return m.node.Node() }

// bubble runs a test in a bubble of testing/synctest.
func bubble(t *testing.T, name string, fn func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, fn) })
}

func wantErr(t *testing.T, call string, err error, want *gateway.Error, nodes ...string) {
	t.Helper()
	switch {
	case want == nil && err != nil:
		t.Errorf("%s = %v, want nil", call, err)
	case want != nil && !errors.Is(err, want):
		t.Errorf("%s = %v, want an error of type %s", call, err, want.Type)
	}
	slices.Sort(nodes)
	if got := gateway.ErrorOf(err).Nodes; !slices.Equal(got, nodes) {
		t.Errorf("%s: the error names the nodes %q, want %q", call, got, nodes)
	}
}

func wantText(t *testing.T, p *gatewaytest.Peer, want ...string) {
	t.Helper()
	for _, text := range want {
		if got := string(p.Receive().Data); got != text {
			t.Errorf("Receive() = %.60q, want %.60q", got, text)
		}
	}
}

// wantNothing checks that a client has received nothing more.
func wantNothing(t *testing.T, p *gatewaytest.Peer) {
	t.Helper()
	synctest.Wait()
	if !p.Empty() {
		t.Errorf("the client received %q, want nothing", p.Receive().Data)
	}
}

func wantN(t *testing.T, call string, n int, err error, want int) {
	t.Helper()
	if n != want || err != nil {
		t.Errorf("%s = %d, %v, want %d, nil", call, n, err, want)
	}
}

// states describes the nodes that one of them knows, by name.
func (m *member) states(t *testing.T) map[string]gateway.NodeState {
	t.Helper()
	nodes, err := m.Nodes(ctx)
	if err != nil {
		t.Fatalf("Nodes: %v", err)
	}
	states := map[string]gateway.NodeState{}
	for _, n := range nodes {
		states[n.Name] = n.State
	}
	return states
}

// unknown is an id whose node never was.
var unknown = "zzzzzzzzzz" + strings.Repeat("a", 26)

func numbered(i int) string { return fmt.Sprintf("message %d", i) }
