package natsd_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/cluster"
	"github.com/wsgateway/gateway/cluster/nats"
	"github.com/wsgateway/gateway/cluster/natsd"
	"github.com/wsgateway/gateway/gatewaytest"
)

var (
	ctx   = context.Background()
	quiet = slog.New(slog.DiscardHandler)
)

// patience is how long is waited for what must happen; it is no measure of speed.
const patience = 30 * time.Second

func start(t testing.TB, o natsd.Options) *natsd.Server {
	t.Helper()
	o.Logger = quiet
	s, err := natsd.Start(&o)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(s.Close)
	return s
}

// clients starts a server for nodes that connect over TCP.
func clients(t testing.TB) *natsd.Server { return start(t, natsd.Options{Clients: "127.0.0.1:0"}) }

// A member is a node with a gateway.
type member struct {
	*gateway.Handler
	node *cluster.Node
	srv  *gatewaytest.Server
	ids  chan string
}

func serve(t testing.TB, node *cluster.Node, err error) *member {
	t.Helper()
	if err != nil {
		t.Fatalf("Join: %v", err)
	}
	m := &member{node: node, ids: make(chan string, 1000)}
	m.Handler = gateway.New(&gateway.Options{Engine: node, Logger: quiet})
	m.Handle("/", gateway.Callbacks{OnOpen: func(ctx context.Context, s *gateway.Socket) error {
		m.ids <- s.ID()
		return nil
	}})
	m.srv = gatewaytest.NewServer(t, m.Handler)
	return m
}

func (m *member) open(t *testing.T) (string, *gatewaytest.Peer) {
	p := m.srv.Dial(t, "/")
	return <-m.ids, p
}

func options(change func(o *cluster.Options)) *nats.Options {
	o := &cluster.Options{Logger: quiet, Heartbeat: 200 * time.Millisecond}
	if change != nil {
		change(o)
	}
	return &nats.Options{Cluster: o}
}

func joinTCP(t testing.TB, url string) *member {
	t.Helper()
	node, err := nats.Join(ctx, url, options(nil))
	return serve(t, node, err)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for start := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func (m *member) knows(n int) func() bool {
	return func() bool {
		up := 0
		nodes, _ := m.Nodes(ctx)
		for _, node := range nodes {
			if node.State == gateway.NodeUp {
				up++
			}
		}
		return up == n
	}
}

func wantErr(t *testing.T, call string, err error, want *gateway.Error) {
	t.Helper()
	if want == nil && err != nil || want != nil && !errors.Is(err, want) {
		t.Errorf("%s = %v, want %v", call, err, want)
	}
}

// Three processes' worth of nodes, each with a server of its own.
func TestEmbeddedServers(t *testing.T) {
	first := natsd.Options{Listen: "127.0.0.1:0", Secret: "s3", Logger: quiet, NATS: options(nil)}
	tr, err := natsd.NewTransport(&first)
	if err != nil {
		t.Fatal(err)
	}
	node, err := cluster.Join(ctx, tr, first.NATS.Cluster)
	all := []*member{serve(t, node, err)}
	for range 2 {
		o := first
		o.Routes = []string{tr.Server().Addr()}
		node, err := natsd.Join(ctx, &o)
		all = append(all, serve(t, node, err))
	}
	wrong := first
	wrong.Secret, wrong.Routes = "guess", []string{tr.Server().Addr()}
	node, err = natsd.Join(ctx, &wrong)
	stranger := serve(t, node, err)
	for _, m := range all {
		eventually(t, "all three know each other", m.knows(3))
	}
	if !stranger.knows(1)() {
		t.Error("a server with another secret has joined the cluster")
	}
	id, p := all[2].open(t)
	wantErr(t, "Join of a group", all[0].Group("room").Join(ctx, id), nil)
	for _, m := range all { // the third hears of the group a moment later
		eventually(t, "the group is known", func() bool {
			n, err := m.Group("room").Len(ctx)
			return n == 1 && err == nil
		})
	}
	for i := range 300 {
		from := all[i%3]
		text := fmt.Sprint(i)
		if i%2 == 0 {
			wantErr(t, "Send", from.Send(ctx, id, gateway.Text(text)), nil)
		} else if n, err := from.Group("room").Send(ctx, gateway.Text(text)); n != 1 || err != nil {
			t.Errorf("Send to the group = %d, %v, want 1", n, err)
		}
		if got := string(p.Receive().Data); got != text {
			t.Fatalf("Receive() = %s, want %s", got, text)
		}
	}
	// The first server goes; the other two have learnt of each other.
	wantErr(t, "Shutdown", all[0].Shutdown(ctx), nil)
	wantErr(t, "Send when the first is gone", all[1].Send(ctx, id, gateway.Text("still")), nil)
	if got := string(p.Receive().Data); got != "still" {
		t.Errorf("Receive() = %s, want still", got)
	}
}

func TestServerRestart(t *testing.T) {
	s := clients(t)
	url := s.ClientURL()
	a, b := joinTCP(t, url), joinTCP(t, url)
	eventually(t, "both know each other", a.knows(2))
	own, pa := a.open(t)
	id, p := b.open(t)
	s.Close()
	eventually(t, "the loss is seen", func() bool {
		return errors.Is(a.Send(ctx, id, gateway.Text("lost?")), gateway.ErrUnreachable)
	})
	began := time.Now()
	wantErr(t, "Send without a server", a.Send(ctx, id, gateway.Text("x")), gateway.ErrUnreachable)
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v to say so", took)
	}
	wantErr(t, "Send to an own socket", a.Send(ctx, own, gateway.Text("mine")), nil)
	if got := string(pa.Receive().Data); got != "mine" {
		t.Errorf("Receive() = %q, want mine", got)
	}
	wantErr(t, "Join of a group meanwhile", a.Group("g").Join(ctx, own), nil)
	start(t, natsd.Options{Clients: strings.TrimPrefix(url, "nats://")})
	eventually(t, "sends work again", func() bool {
		return a.Send(ctx, id,
			gateway.Text("back")) == nil
	})
	for {
		text := string(p.Receive().Data)
		if text == "x" {
			t.Error("a message came that was refused")
		}
		if text == "back" {
			break
		}
	}
	eventually(t, "the group is known", func() bool {
		n, err := b.Group("g").Send(ctx, gateway.Text("g"))
		return n == 1 && err == nil
	})
}

// Applications with different prefixes on one server know nothing of each other.
func TestPrefixes(t *testing.T) {
	url := clients(t).ClientURL()
	with := func(prefix string) *member {
		o := options(nil)
		o.Prefix = prefix
		node, err := nats.Join(ctx, url, o)
		return serve(t, node, err)
	}
	a, b, other := with("app.one"), with("app.one"), with("app.two")
	eventually(t, "the two know each other", a.knows(2))
	id, _ := a.open(t)
	wantErr(t, "Send with the same prefix", b.Send(ctx, id, gateway.Text("x")), nil)
	wantErr(t, "Send with another prefix", other.Send(ctx, id, gateway.Text("x")), gateway.ErrNotFound)
	if !other.knows(1)() {
		t.Error("a node of another prefix is known")
	}
}

// Many callers at once, over real connections: everything that was acknowledged has come,
// once and in the order of its caller.
func TestManyCallers(t *testing.T) {
	url := clients(t).ClientURL()
	a, b := joinTCP(t, url), joinTCP(t, url)
	eventually(t, "both know each other", a.knows(2))
	const callers, each = 32, 200
	var peers []*gatewaytest.Peer
	var ids []string
	for range callers {
		id, p := b.open(t)
		ids, peers = append(ids, id), append(peers, p)
	}
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				if err := a.Send(ctx, ids[c], gateway.Text(fmt.Sprint(i))); err != nil {
					t.Errorf("caller %d: Send = %v, want nil", c, err)
					return
				}
			}
		})
	}
	wg.Wait()
	for c, p := range peers {
		for i := range each {
			if got := string(p.Receive().Data); got != fmt.Sprint(i) {
				t.Fatalf("caller %d: Receive() = %s, want %d", c, got, i)
			}
		}
	}
	list, err := a.List(ctx)
	slices.Sort(ids)
	if !slices.Equal(list, ids) || err != nil {
		t.Errorf("List = %d ids, %v, want %d", len(list), err, len(ids))
	}
	if s := a.node.Stats(); s.Calls < callers*each || s.FramesOut > s.Calls+1000 {
		t.Errorf("Stats = %+v", s)
	}
}
