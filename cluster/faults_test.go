package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/cluster"
	"github.com/wsgateway/gateway/cluster/clustertest"
)

func TestKilledNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := clustertest.NewNetwork(1)
		m := members(t, w, 3)
		id, _ := m[1].open(t, "room")
		other, p := m[2].open(t, "room")
		w.Kill(m[1].name())
		wantErr(t, "Send to a node that nobody listens for", m[0].Send(ctx, id, gateway.Text("x")),
			gateway.ErrUnreachable)
		if s := m[0].states(t); s[m[1].name()] != gateway.NodeLost {
			t.Errorf("nodes: %v, want %s lost", s, m[1].name())
		}
		start := time.Now()
		n, err := m[0].Group("room").Send(ctx, gateway.Text("all"))
		wantErr(t, "Send to the group", err, gateway.ErrUnreachable, m[1].name())
		if n != 1 || time.Since(start) > 10*time.Millisecond {
			t.Errorf("Send to the group = %d after %v, want 1 at once", n, time.Since(start))
		}
		wantText(t, p, "all")
		ids, err := m[0].List(ctx)
		wantErr(t, "List", err, gateway.ErrUnreachable, m[1].name())
		if !slices.Equal(ids, []string{other}) {
			t.Errorf("List = %q, want %q", ids, other)
		}
		if s := m[0].node.Stats(); s.Sends != 1 || s.Failed["unreachable"] != 3 || len(s.Failed) != 1 {
			t.Errorf("Stats: %d sends, failed %v; want 1, and 3 unreachable", s.Sends, s.Failed)
		}
		time.Sleep(70 * time.Second)
		wantErr(t, "Send when it is gone", m[0].Send(ctx, id, gateway.Text("x")), gateway.ErrNotFound)
		ids, err = m[0].List(ctx)
		wantErr(t, "List when it is gone", err, nil)
		if !slices.Equal(ids, []string{other}) {
			t.Errorf("List = %q, want %q", ids, other)
		}
		n, err = m[0].Group("room").Send(ctx, gateway.Text("all"))
		wantN(t, "Send to the group when it is gone", n, err, 1)
		if s := m[2].states(t); len(s) != 2 {
			t.Errorf("nodes: %v, want 2", s)
		}
	})
}

// A call that a node has taken with it into death ends long before the lease does, and so
// is noticed the death of a node that nobody calls.
func TestKilledNodeIsNoticed(t *testing.T) {
	bubble(t, "by a call that waits", func(t *testing.T) {
		w := clustertest.NewNetwork(1)
		m := members(t, w, 2)
		id, _ := m[1].open(t)
		w.Freeze(m[1].name()) // it takes the message, and then it dies
		done := make(chan error, 1)
		start := time.Now()
		go func() { done <- m[0].Send(ctx, id, gateway.Text("x")) }()
		synctest.Wait()
		w.Kill(m[1].name())
		wantErr(t, "Send", <-done, gateway.ErrTimeout)
		if took := time.Since(start); took > 200*time.Millisecond {
			t.Errorf("it took %v, want less than 200ms", took)
		}
		wantErr(t, "Send then", m[0].Send(ctx, id, gateway.Text("x")), gateway.ErrUnreachable)
	})
	bubble(t, "without a call", func(t *testing.T) {
		w := clustertest.NewNetwork(1)
		m := members(t, w, 2)
		w.Kill(m[1].name())
		time.Sleep(1300 * time.Millisecond)
		if s := m[0].states(t); s[m[1].name()] != gateway.NodeLost {
			t.Errorf("1.3 s after its death the node is %v, want lost: it has missed two beats", s)
		}
	})
}

// A frozen owner takes messages and does not say so: the caller must not be told that
// they were delivered, nor that they were not.
func TestFrozenNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := clustertest.NewNetwork(1)
		m := members(t, w, 2)
		id, p := m[1].open(t)
		w.Freeze(m[1].name())
		start := time.Now()
		wantErr(t, "Send to a frozen node", m[0].Send(ctx, id, gateway.Text("1")), gateway.ErrTimeout)
		if took := time.Since(start); took < time.Second || took > 2500*time.Millisecond {
			t.Errorf("it took %v, want the lease, 1.5 to 2 s", took)
		}
		wantErr(t, "Send when it is lost", m[0].Send(ctx, id, gateway.Text("2")), gateway.ErrUnreachable)
		_, err := m[0].List(ctx)
		wantErr(t, "List", err, gateway.ErrUnreachable, m[1].name())
		w.Thaw(m[1].name())
		time.Sleep(time.Second)
		wantErr(t, "Send when it is back", m[0].Send(ctx, id, gateway.Text("3")), nil)
		wantText(t, p, "1", "3")
		wantNothing(t, p)
	})
}

// A process that had no processor for a while does not take the others for dead: what they
// sent meanwhile is still to be read.
func TestOwnDelayIsNotTheOthersSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := clustertest.NewNetwork(1)
		m := members(t, w, 2)
		w.Freeze(m[1].name())
		time.Sleep(1200 * time.Millisecond)
		cluster.Overslept(m[0].node, 2*time.Second)
		time.Sleep(1200 * time.Millisecond)
		if s := m[0].states(t); s[m[1].name()] != gateway.NodeUp {
			t.Errorf("2.4 s after its last sign, 2 s of which do not count, the node is %v, want up", s)
		}
		time.Sleep(2 * time.Second)
		if s := m[0].states(t); s[m[1].name()] != gateway.NodeLost {
			t.Errorf("4.4 s after its last sign, 2 s of which do not count, the node is %v, want lost", s)
		}
	})
}

func TestOutageAndReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := clustertest.NewNetwork(1)
		states := make(chan string, 10)
		a := join(t, w, &cluster.Options{OnState: func(up bool, cause error) {
			states <- fmt.Sprint(up, errors.Is(cause, cluster.ErrDown))
		}})
		b := join(t, w, nil)
		mine, pm := a.open(t)
		theirs, pt := b.open(t)
		w.Disconnect(a.name())
		synctest.Wait()
		wantErr(t, "Send to a foreign socket", a.Send(ctx, theirs, gateway.Text("x")),
			gateway.ErrUnreachable)
		wantErr(t, "Send to an own socket", a.Send(ctx, mine, gateway.Text("own")), nil)
		wantText(t, pm, "own")
		ids, err := a.List(ctx)
		wantErr(t, "List", err, gateway.ErrUnreachable, b.name())
		if !slices.Equal(ids, []string{mine}) {
			t.Errorf("List = %q, want %q", ids, mine)
		}
		time.Sleep(20 * time.Second)
		wantErr(t, "Join of a new group meanwhile", a.Group("late").Join(ctx, mine), nil)
		w.Reconnect(a.name())
		time.Sleep(500 * time.Millisecond)
		wantErr(t, "Send after the return", a.Send(ctx, theirs, gateway.Text("back")), nil)
		wantText(t, pt, "back")
		n, err := b.Group("late").Send(ctx, gateway.Text("late"))
		wantN(t, "Send to a group that began during the outage", n, err, 1)
		wantText(t, pm, "late")
		for _, want := range []string{"false true", "true false"} {
			if got := <-states; got != want {
				t.Errorf("OnState was told %s, want %s", got, want)
			}
		}
	})
}

func TestGoodBye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := clustertest.NewNetwork(1)
		m := members(t, w, 2)
		id, p := m[1].open(t, "room")
		wantErr(t, "Shutdown", m[1].Shutdown(ctx), nil)
		p.Closed()
		synctest.Wait()
		wantErr(t, "Send to a node that has left", m[0].Send(ctx, id, gateway.Text("x")),
			gateway.ErrNotFound)
		ids, err := m[0].List(ctx)
		wantErr(t, "List", err, nil)
		if len(ids) != 0 || len(m[0].states(t)) != 1 {
			t.Errorf("List = %q, nodes %v, want nothing of the one that left", ids, m[0].states(t))
		}
		wantErr(t, "Send by the one that left", m[1].Send(ctx, m[0].name()+unknown[10:],
			gateway.Text("x")), gateway.ErrShutdown)
		wantErr(t, "Shutdown again", m[1].Shutdown(ctx), nil)
	})
}

// A node that is drained says so with its next beat. Its sockets are reached until they close.
func TestDrainIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := clustertest.NewNetwork(1)
		m := members(t, w, 3)
		id, p := m[1].open(t)
		done := make(chan error)
		go func() { done <- m[1].Drain(ctx, time.Minute) }()
		time.Sleep(600 * time.Millisecond)
		for _, from := range m {
			if s := from.states(t); s[m[1].name()] != gateway.NodeDraining || len(s) != 3 {
				t.Errorf("%s knows %v, want all and %s draining", from.name(), s, m[1].name())
			}
		}
		wantErr(t, "Send to a socket of the node", m[0].Send(ctx, id, gateway.Text("x")), nil)
		wantText(t, p, "x")
		m[2].open(t) // the others take sockets
		late := join(t, w, nil)
		if s := late.states(t); s[m[1].name()] != gateway.NodeDraining {
			t.Errorf("a node that has just joined knows %v, want %s draining", s, m[1].name())
		}
		wantErr(t, "Close", m[0].Close(ctx, id), nil)
		p.Closed()
		wantErr(t, "Drain", <-done, nil)
		if s := m[0].states(t); s[m[1].name()] != gateway.NodeDraining {
			t.Errorf("the drained node is %v, want draining until it leaves", s)
		}
		wantErr(t, "Shutdown", m[1].Shutdown(ctx), nil)
		synctest.Wait()
		if s := m[0].states(t); len(s) != 3 || s[m[1].name()] != "" {
			t.Errorf("nodes: %v, want the drained one to have left", s)
		}
	})
}

func TestDrainingIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := clustertest.NewNetwork(1)
		m := members(t, w, 2)
		_, p := m[1].open(t)
		p.Stall()
		done := make(chan error)
		go func() { done <- m[1].Shutdown(ctx) }()
		time.Sleep(time.Second) // the client does not answer the close frame for two
		if s := m[0].states(t)[m[1].name()]; s != gateway.NodeDraining {
			t.Errorf("the state of a node that shuts down = %q, want draining", s)
		}
		wantErr(t, "Shutdown", <-done, nil)
	})
}

// A faulty network may lose an answer. It must never make two deliveries of one send,
// nor turn the order round, nor deliver what was refused.
func TestNeverTwiceNeverOutOfOrder(t *testing.T) {
	for _, f := range []clustertest.Faults{
		{Lose: 0.1}, {Duplicate: 0.5}, {Reorder: 0.3}, {Lose: 0.1, Duplicate: 0.3, Reorder: 0.2,
			Delay: time.Millisecond},
	} {
		bubble(t, fmt.Sprintf("%+v", f), func(t *testing.T) {
			w := clustertest.NewNetwork(7)
			m := members(t, w, 2)
			id, p := m[1].open(t, "g")
			w.Set(f)
			sure, refused := map[string]bool{}, map[string]bool{}
			for i := range 300 {
				var err error
				n := 1
				impatient, cancel := context.WithTimeout(ctx, 3*time.Millisecond)
				if i%3 == 0 {
					n, err = m[0].Group("g").Send(impatient, gateway.Text(numbered(i)))
				} else {
					err = m[0].Send(impatient, id, gateway.Text(numbered(i)))
				}
				cancel()
				switch {
				case err == nil && n == 1:
					sure[numbered(i)] = true
				case !errors.Is(err, gateway.ErrTimeout):
					refused[numbered(i)] = true
				}
			}
			w.Set(clustertest.Faults{})
			time.Sleep(10 * time.Second)
			synctest.Wait()
			last := -1
			for !p.Empty() {
				text := string(p.Receive().Data)
				var i int
				if _, err := fmt.Sscanf(text, "message %d", &i); err != nil || i <= last {
					t.Errorf("%q came after message %d", text, last)
				}
				if refused[text] {
					t.Errorf("%q came, and its sender was told that it would not", text)
				}
				last = i
				delete(sure, text)
			}
			if len(sure) != 0 {
				t.Errorf("%d messages were acknowledged and did not come: %v", len(sure), sure)
			}
			d := m[1].node.Stats().Dropped
			if (f.Duplicate > 0 || f.Reorder > 0) && d["replayed"] == 0 {
				t.Errorf("dropped: %v, want some as replayed", d)
			}
		})
	}
}

// What changes while frames are lost is known again soon after.
func TestInterestIsMendedAfterLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := clustertest.NewNetwork(3)
		m := members(t, w, 3)
		id, p := m[1].open(t)
		w.LoseFramesOnly(true)
		for i := range 50 {
			wantErr(t, "Join", m[1].Group(fmt.Sprint("g", i)).Join(ctx, id), nil)
		}
		synctest.Wait()
		w.LoseFramesOnly(false)
		time.Sleep(3 * time.Second)
		for i := range 50 {
			n, err := m[0].Group(fmt.Sprint("g", i)).Send(ctx, gateway.Text("x"))
			wantN(t, "Send", n, err, 1)
			wantText(t, p, "x")
		}
		before := m[2].node.Stats().Served
		n, err := m[0].Group("nobody's").Send(ctx, gateway.Text("x"))
		wantN(t, "Send to nobody", n, err, 0)
		if got := m[2].node.Stats().Served - before; got != 0 {
			t.Errorf("a node without members was asked %d times", got)
		}
	})
}

// The node that was split off comes back with what it has, and is believed.
func TestHealedPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := clustertest.NewNetwork(5)
		m := members(t, w, 3)
		id, p := m[2].open(t, "room")
		w.Cut(m[0].name(), m[2].name())
		time.Sleep(10 * time.Second)
		wantErr(t, "Send over the cut", m[0].Send(ctx, id, gateway.Text("x")), gateway.ErrUnreachable)
		wantErr(t, "Send beside the cut", m[1].Send(ctx, id, gateway.Text("1")), nil)
		w.Heal()
		time.Sleep(time.Second)
		wantErr(t, "Send when it is healed", m[0].Send(ctx, id, gateway.Text("2")), nil)
		w.Cut(m[0].name(), m[2].name())
		time.Sleep(3 * time.Minute)
		wantErr(t, "Send after minutes", m[0].Send(ctx, id, gateway.Text("x")), gateway.ErrNotFound)
		w.Heal()
		time.Sleep(time.Second)
		wantErr(t, "Send when it has come back from the gone", m[0].Send(ctx, id, gateway.Text("3")), nil)
		n, err := m[0].Group("room").Send(ctx, gateway.Text("4"))
		wantN(t, "Send to the group", n, err, 1)
		wantText(t, p, "1", "2", "3", "4")
	})
}

// A brand-new node is not known everywhere at once: who asks for it asks twice.
func TestNewNodeIsAskedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := clustertest.NewNetwork(5)
		m := join(t, w, nil)
		late := join(t, w, &cluster.Options{Name: "lateishere"})
		id, p := late.open(t)
		w.Hide("lateishere", 20*time.Millisecond)
		wantErr(t, "Send", m.Send(ctx, id, gateway.Text("x")), nil)
		wantText(t, p, "x")
		w.Hide("lateishere", 20*time.Millisecond)
		n, err := m.All().Send(ctx, gateway.Text("y"))
		wantN(t, "Send to All", n, err, 1)
		wantText(t, p, "y")
	})
}

// Nodes that may come are bounded, whatever names somebody invents.
func TestCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := clustertest.NewNetwork(5)
		m := join(t, w, &cluster.Options{MaxNodes: 3})
		for range 6 {
			join(t, w, nil)
		}
		time.Sleep(2 * time.Second)
		if s := m.states(t); len(s) != 4 || m.node.Stats().Dropped["crowded"] == 0 {
			t.Errorf("nodes: %v, dropped %v, want 3 others and some dropped", s, m.node.Stats().Dropped)
		}
	})
}
