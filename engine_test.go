package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
)

// A wire is an engine that calls the other nodes directly, in the order of their names.
type wire struct {
	name   string
	all    map[string]*wire
	local  func(context.Context, gateway.Op) (gateway.Result, error)
	silent []string // these do not answer
	check  func()   // called by every method, as an engine may call the gateway

	meanwhile bool // DoAll calls Op.Meanwhile

	mu     sync.Mutex
	ops    []gateway.Op
	groups []string
	closed int
}

func (w *wire) Node() string { return w.name }

func (w *wire) Bind(local func(context.Context, gateway.Op) (gateway.Result,
	error)) {
	w.local = local
}

func (w *wire) note(op gateway.Op) {
	if w.check != nil {
		w.check()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ops = append(w.ops, op)
}

func (w *wire) Do(ctx context.Context, op gateway.Op) (gateway.Result, error) {
	w.note(op)
	owner := w.all[op.Socket[:10]]
	if owner == nil {
		return gateway.Result{}, gateway.ErrUnreachable
	}
	return owner.local(ctx, op)
}

func (w *wire) DoAll(ctx context.Context, op gateway.Op, each func(gateway.Result) bool) error {
	w.note(op)
	if w.meanwhile && op.Meanwhile != nil {
		op.Meanwhile()
	}
	for name, other := range w.all {
		if name == w.name || slices.Contains(w.silent, name) {
			continue
		}
		for op.Page, op.Limit = "", 100; ; {
			r, err := other.local(ctx, op)
			if err != nil {
				return err
			}
			if !each(r) {
				return nil
			}
			if op.Page = r.Next; op.Page == "" {
				break
			}
		}
	}
	if len(w.silent) > 0 {
		err := gateway.NewError(gateway.ErrUnreachable, "%d nodes are silent", len(w.silent))
		err.Nodes = w.silent
		return err
	}
	return nil
}

func (w *wire) Interest(group string) {
	if w.check != nil {
		w.check()
	}
	r, err := w.local(context.Background(), gateway.Op{Kind: gateway.OpMember, Group: group})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.groups = append(w.groups, fmt.Sprint(group, r.N, err))
}

func (w *wire) Nodes(ctx context.Context) ([]gateway.Node, error) {
	return []gateway.Node{{Name: w.name, Self: true}}, nil
}

func (w *wire) Close(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed++
	return nil
}

// asked returns the kinds of the operations that reached the engine since the last call.
func (w *wire) asked() (kinds []gateway.OpKind) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, op := range w.ops {
		kinds = append(kinds, op.Kind)
	}
	w.ops = nil
	return kinds
}

// wired is a node of wires with one recorded endpoint at /.
type wired struct {
	*gateway.Handler
	wire *wire
	rec  *recorder
	srv  *gatewaytest.Server
}

func (n *wired) open(t *testing.T) (string, *gatewaytest.Peer) {
	p := n.srv.Dial(t, "/")
	synctest.Wait()
	return n.rec.socket().ID(), p
}

func wiredNodes(t *testing.T, names ...string) (nodes []*wired) {
	t.Helper()
	all := map[string]*wire{}
	for _, name := range names {
		w := &wire{name: name, all: all}
		all[name] = w
		n := &wired{wire: w, rec: &recorder{}}
		n.Handler = gateway.New(&gateway.Options{
			Engine: w, Logger: slog.New(slog.DiscardHandler), Limits: unlimited,
			Authorize: func(*http.Request) (*gateway.Admission, error) {
				return &gateway.Admission{Groups: []string{"lobby"}}, nil
			},
		})
		n.Handle("/", n.rec)
		n.srv = serve(t, n.Handler)
		nodes = append(nodes, n)
	}
	return nodes
}

func TestEngine(t *testing.T) {
	ctx := context.Background()
	nameA, nameB := "aaaaaaaaaa", "bbbbbbbb22"
	run := func(name string, fn func(t *testing.T, a, b *wired)) {
		bubble(t, name, func(t *testing.T) {
			nodes := wiredNodes(t, nameA, nameB)
			fn(t, nodes[0], nodes[1])
		})
	}

	run("ids begin with the node's name, and local ones stay here", func(t *testing.T, a, b *wired) {
		id, p := a.open(t)
		if id[:10] != nameA {
			t.Errorf("the id is %s, want one that begins with %s", id, nameA)
		}
		wantErr(t, "Send", a.Send(ctx, id, gateway.Text("x")), nil)
		wantErr(t, "SendSync", a.SendSync(ctx, id, gateway.Text("y")), nil)
		_, err := a.Info(ctx, id)
		wantErr(t, "Info", err, nil)
		wantErr(t, "Join", a.Group("g").Join(ctx, id), nil)
		wantErr(t, "Leave", a.Group("g").Leave(ctx, id), nil)
		wantErr(t, "Close", a.Close(ctx, id), nil)
		wantText(t, p, "x")
		wantText(t, p, "y")
		p.Closed()
		synctest.Wait()
		wantErr(t, "Send to a closed one", a.Send(ctx, id, gateway.Text("x")), gateway.ErrNotFound)
		if got := a.wire.asked(); got != nil {
			t.Errorf("the engine was asked for %v, want nothing", got)
		}
	})

	run("what is no id goes nowhere", func(t *testing.T, a, b *wired) {
		good := nameB + "abcdefghijklmnopqrstuvwxyz"
		for _, id := range []string{nameB, good + "a", good[1:], "BBBBBBBB22" + good[10:],
			"bbbbbbbb.*" + good[10:], nameA + good[10:]} {
			wantErr(t, "Send to "+id, a.Send(ctx, id, gateway.Text("x")), gateway.ErrNotFound)
			wantErr(t, "Close of "+id, a.Close(ctx, id), gateway.ErrNotFound)
		}
		wantErr(t, "Join of All", a.All().Join(ctx, good), gateway.ErrInvalid)
		wantErr(t, "Join without a name", a.Group("").Join(ctx, good), gateway.ErrInvalid)
		wantErr(t, "Send of bad text", a.Send(ctx, good, gateway.Text("\xff")), gateway.ErrInvalid)
		wantErr(t, "CloseWith 1", a.CloseWith(ctx, good, 1, ""), gateway.ErrInvalid)
		if got := a.wire.asked(); got != nil {
			t.Errorf("the engine was asked for %v, want nothing", got)
		}
	})

	run("operations on a socket of the other node", func(t *testing.T, a, b *wired) {
		id, p := b.open(t)
		wantErr(t, "Send", a.Send(ctx, id, gateway.Text("1")), nil)
		wantErr(t, "SendSync", a.SendSync(ctx, id, gateway.Text("2")), nil)
		wantText(t, p, "1")
		wantText(t, p, "2")
		info, err := a.Info(ctx, id)
		if err != nil || info.SocketID != id || info.Node != nameB || !slices.Equal(info.Groups,
			[]string{"lobby"}) {
			t.Errorf("Info = %v, %v, want that of %s", info, err, id)
		}
		wantErr(t, "Join", a.Group("g").Join(ctx, id), nil)
		if n, err := b.Group("g").Len(ctx); n != 1 || err != nil {
			t.Errorf("Len = %d, %v, want 1", n, err)
		}
		wantErr(t, "Leave", a.Group("g").Leave(ctx, id), nil)
		wantErr(t, "CloseWith", a.CloseWith(ctx, id, 4001, "away"), nil)
		wantClosed(t, p, 4001, "away")
		synctest.Wait()
		wantErr(t, "Close", a.Close(ctx, id), gateway.ErrNotFound)
		want := []gateway.OpKind{gateway.OpSend, gateway.OpSendSync, gateway.OpInfo, gateway.OpJoin,
			gateway.OpLeave, gateway.OpClose, gateway.OpClose}
		if got := a.wire.asked(); !slices.Equal(got, want) {
			t.Errorf("the engine was asked for %v, want %v", got, want)
		}
	})

	run("lists and groups span the nodes", func(t *testing.T, a, b *wired) {
		var ids []string
		peers := map[string]*gatewaytest.Peer{}
		for i := range 20 {
			n := []*wired{a, b}[i%2]
			id, p := n.open(t)
			ids, peers[id] = append(ids, id), p
			wantErr(t, "Join", a.Group(fmt.Sprintf("room %d", i/2)).Join(ctx, id), nil)
		}
		slices.Sort(ids)
		for _, n := range []*wired{a, b} {
			if got, err := n.List(ctx); !slices.Equal(got, ids) || err != nil {
				t.Errorf("List = %q, %v, want %q", got, err, ids)
			}
			if got, err := n.Groups(ctx); len(got) != 11 || got[0] != "lobby" || err != nil {
				t.Errorf("Groups = %q, %v, want lobby and 10 rooms", got, err)
			}
			for _, g := range []gateway.Group{n.Group("lobby"), n.All()} {
				var members []string
				for m, err := range g.Except(ids[0], ids[19]).Members(ctx) {
					if members = append(members, m.SocketID); err != nil || m.Opened.IsZero() {
						t.Errorf("Members yields %v, %v", m, err)
					}
				}
				if slices.Sort(members); !slices.Equal(members, ids[1:19]) {
					t.Errorf("Members = %q, want %q", members, ids[1:19])
				}
				if got, err := g.Len(ctx); got != 20 || err != nil {
					t.Errorf("Len = %d, %v, want 20", got, err)
				}
				if got, err := g.Except(ids[1]).Send(ctx, gateway.Text("all")); got != 19 || err != nil {
					t.Errorf("Send = %d, %v, want 19", got, err)
				}
			}
			for range n.ListSeq(ctx) {
				break // the engine hears of it
			}
			for range n.Group("lobby").Members(ctx) {
				break
			}
		}
		for id, p := range peers {
			if id != ids[1] {
				for range 4 {
					wantText(t, p, "all")
				}
			}
		}
		if got, err := a.Group("room 3").CloseWith(ctx, 4002, "over"); got != 2 || err != nil {
			t.Errorf("CloseWith = %d, %v, want 2", got, err)
		}
		if got, err := b.CloseAll(ctx); got != 18 || err != nil {
			t.Errorf("CloseAll = %d, %v, want 18", got, err)
		}
	})

	run("refusals of the other node reach OnRefused", func(t *testing.T, a, b *wired) {
		id, _ := b.open(t)
		big := gateway.Binary(make([]byte, 1<<20+1))
		var refused []string
		n, err := a.All().OnRefused(func(id string, err error) {
			refused = append(refused, id)
			wantErr(t, "the refusal", err, gateway.ErrTooLarge)
		}).Send(ctx, big)
		if n != 0 || err != nil || !slices.Equal(refused, []string{id}) {
			t.Errorf("Send = %d, %v, refused by %q; want 0, nil and %q", n, err, refused, id)
		}
	})

	run("a silent node is named, and the rest is there", func(t *testing.T, a, b *wired) {
		id, _ := a.open(t)
		b.open(t)
		a.wire.silent = []string{nameB}
		ids, err := a.List(ctx)
		if e := gateway.ErrorOf(err); !slices.Equal(ids, []string{id}) || !errors.Is(err,
			gateway.ErrUnreachable) || !slices.Equal(e.Nodes, []string{nameB}) {
			t.Errorf("List = %q, %v of nodes %q, want %q and unreachable of %s", ids, err, e.Nodes, id,
				nameB)
		}
		if n, err := a.All().Send(ctx, gateway.Text("x")); n != 1 || !errors.Is(err,
			gateway.ErrUnreachable) {
			t.Errorf("Send = %d, %v, want 1 and unreachable", n, err)
		}
		got, _ := json.Marshal(gateway.ErrorOf(err))
		want := `{"type":"unreachable","error":"1 nodes are silent","status":503,"nodes":["bbbbbbbb22"]}`
		if string(got) != want {
			t.Errorf("the error in JSON is %s, want %s", got, want)
		}
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		if ids, err := a.List(ctx); len(ids) != 1 || !errors.Is(err, gateway.ErrTimeout) {
			t.Errorf("List with a context that has ended = %q, %v, want the local id and a timeout", ids,
				err)
		}
	})

	run("an engine may call the gateway, whatever it is called for", func(t *testing.T, a, b *wired) {
		here, _ := a.open(t)
		there, _ := b.open(t)
		defer func() { a.wire.check = nil }()
		a.wire.check = func() {
			a.Send(context.Background(), here, gateway.Text("x"))
			a.Info(context.Background(), here)
		}
		wantErr(t, "Join", a.Group("g").Join(ctx, here), nil)
		wantErr(t, "Join", a.Group("g").Join(ctx, there), nil)
		wantErr(t, "Leave", a.Group("g").Leave(ctx, here), nil)
		wantErr(t, "Close", a.Close(ctx, here), nil)
		synctest.Wait()
		want := []string{"lobby1 <nil>", "g1 <nil>", "g0 <nil>", "lobby0 <nil>"}
		if !slices.Equal(a.wire.groups, want) {
			t.Errorf("the engine was told of %q, want %q", a.wire.groups, want)
		}
	})

	run("Shutdown leaves the cluster at last", func(t *testing.T, a, b *wired) {
		a.open(t)
		wantErr(t, "Shutdown", a.Shutdown(ctx), nil)
		if a.wire.closed != 1 || b.wire.closed != 0 {
			t.Errorf("engines closed: %d and %d, want the first", a.wire.closed, b.wire.closed)
		}
	})
}

func TestEngineWithAWrongNamePanics(t *testing.T) {
	for _, name := range []string{"", "short", "UPPERCASE2", "has spaces", "01234567ab",
		"abcdefghijk"} {
		wantPanic(t, "New with node "+name, "Engine",
			func() { gateway.New(&gateway.Options{Engine: &wire{name: name}}) })
	}
}

func TestNodesWithoutAnEngine(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		s, _ := open(t, quiet(), &recorder{})
		id := s.ID()
		h := quiet()
		nodes, err := h.Nodes(context.Background())
		if err != nil || len(nodes) != 1 || !nodes[0].Self || nodes[0].State != gateway.NodeUp ||
			!gateway.ValidNode(nodes[0].Name) {
			t.Errorf("Nodes = %v, %v, want this process alone", nodes, err)
		}
		wantErr(t, "Send to an id of another gateway", h.Send(context.Background(), id,
			gateway.Text("x")), gateway.ErrNotFound)
		wantErr(t, "Shutdown", h.Shutdown(context.Background()), nil)
		if nodes, _ := h.Nodes(context.Background()); nodes[0].State != gateway.NodeDraining {
			t.Errorf("the state after Shutdown is %s, want draining", nodes[0].State)
		}
	})
}
