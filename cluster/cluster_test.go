package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/cluster"
	"github.com/wsgateway/gateway/cluster/clustertest"
)

func TestOperationsOnForeignSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := members(t, clustertest.NewNetwork(1), 3)
		id, p := m[1].open(t, "lobby")
		for i, from := range m {
			text := numbered(i)
			wantErr(t, "Send", from.Send(ctx, id, gateway.Text(text)), nil)
			wantErr(t, "SendSync", from.SendSync(ctx, id, gateway.Binary([]byte{byte(i)})), nil)
			wantErr(t, "SendWait", from.SendWait(ctx, id, gateway.Text("wait")), nil)
			wantText(t, p, text, string(rune(i)), "wait")
			wantErr(t, "Renew", from.Renew(ctx, id, time.Now().Add(time.Hour)), nil)
			info, err := from.Info(ctx, id)
			wantErr(t, "Info", err, nil)
			local, _ := m[1].Info(ctx, id)
			if fmt.Sprintf("%+v", info.Last) != fmt.Sprintf("%+v", local.Last) ||
				!info.Opened.Equal(local.Opened) ||
				info.URI != local.URI || info.Node != m[1].name() || info.Values["user"] != "ann" ||
				!slices.Equal(info.Groups, []string{"lobby"}) {
				t.Errorf("Info from node %d = %+v, want %+v", i, info, local)
			}
			wantErr(t, "Send of a type that is none", from.Send(ctx, id, gateway.Message{}),
				gateway.ErrInvalid)
			wantErr(t, "Send above SendLimit", from.Send(ctx, id, gateway.Binary(make([]byte, 1<<20+1))),
				gateway.ErrTooLarge)
			wantErr(t, "Send to nobody's node", from.Send(ctx, unknown, gateway.Text("x")),
				gateway.ErrNotFound)
			wantErr(t, "Send to no socket", from.Send(ctx, id[:10]+unknown[10:], gateway.Text("x")),
				gateway.ErrNotFound)
		}
		wantErr(t, "CloseWith", m[0].CloseWith(ctx, id, 4000, "off"), nil)
		if code, reason := p.Closed(); code != 4000 || reason != "off" {
			t.Errorf("closed with %d %q, want 4000 off", code, reason)
		}
		synctest.Wait()
		wantErr(t, "Close again", m[2].Close(ctx, id), gateway.ErrNotFound)
		if n := m[0].node.Stats().Dropped; slices.Max(slices.Collect(maps.Values(n))) > 0 {
			t.Errorf("node 0 dropped %v, want nothing", n)
		}
	})
}

func TestQueueFullAndClosedTravel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := members(t, clustertest.NewNetwork(1), 2)
		id, p := m[1].open(t)
		p.Stall()
		big := gateway.Binary(make([]byte, 500<<10))
		var err error
		for range 10 {
			if err = m[0].Send(ctx, id, big); err != nil {
				break
			}
		}
		wantErr(t, "Send to a client that does not read", err, gateway.ErrQueueFull)
		var refused error
		n, err := m[0].All().OnRefused(func(who string, err error) {
			if who == id {
				refused = err
			}
		}).Send(ctx, big)
		wantN(t, "Send to All", n, err, 0)
		wantErr(t, "what OnRefused got", refused, gateway.ErrQueueFull)
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		start := time.Now()
		wantErr(t, "SendSync to it", m[0].SendSync(short, id, big), gateway.ErrTimeout)
		if took := time.Since(start); took != time.Second {
			t.Errorf("SendSync took %v, want 1s", took)
		}
		wantErr(t, "Close", m[0].Close(ctx, id), nil)
		wantErr(t, "Send to a closing socket", m[0].Send(ctx, id, big), gateway.ErrClosed)
		p.Resume()
		p.Closed()
	})
}

func TestOrderOfOneCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := members(t, clustertest.NewNetwork(1), 2)
		id, p := m[1].open(t, "g")
		for i := range 100 {
			var err error
			switch i % 4 {
			case 0:
				err = m[0].Send(ctx, id, gateway.Text(numbered(i)))
			case 1:
				_, err = m[0].Group("g").Send(ctx, gateway.Text(numbered(i)))
			case 2:
				_, err = m[0].All().Send(ctx, gateway.Text(numbered(i)))
			case 3:
				err = m[0].SendSync(ctx, id, gateway.Text(numbered(i)))
			}
			wantErr(t, numbered(i), err, nil)
		}
		for i := range 100 {
			wantText(t, p, numbered(i))
		}
	})
}

func TestGroupsSpanNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := clustertest.NewNetwork(1)
		m := members(t, w, 4)
		a, pa := m[0].open(t, "room")
		b, pb := m[1].open(t, "room")
		c, pc := m[2].open(t)
		n, err := m[3].Group("room").Send(ctx, gateway.Text("1"))
		wantN(t, "Send", n, err, 2)
		wantText(t, pa, "1")
		wantText(t, pb, "1")
		wantErr(t, "Join from another node", m[0].Group("room").Join(ctx, c), nil)
		n, err = m[0].Group("room").Except(b).Send(ctx, gateway.Text("2"))
		wantN(t, "Send but to one", n, err, 2)
		wantText(t, pa, "2")
		wantText(t, pc, "2")
		for i, from := range m {
			n, err = from.Group("room").Len(ctx)
			wantN(t, "Len", n, err, 3)
			var ids []string
			for member, err := range from.Group("room").Except(b).Members(ctx) {
				wantErr(t, "Members", err, nil)
				if member.Values["user"] != "ann" || member.Opened.IsZero() {
					t.Errorf("Members from node %d yields %+v", i, member)
				}
				ids = append(ids, member.SocketID)
			}
			want := []string{a, c}
			slices.Sort(ids)
			slices.Sort(want)
			if !slices.Equal(ids, want) {
				t.Errorf("Members from node %d = %q, want %q", i, ids, want)
			}
			if names, err := from.Groups(ctx); !slices.Equal(names, []string{"room"}) || err != nil {
				t.Errorf("Groups from node %d = %q, %v, want room", i, names, err)
			}
		}
		wantErr(t, "Leave from another node", m[3].Group("room").Leave(ctx, c), nil)
		n, err = m[3].Group("room").Send(ctx, gateway.Text("3"))
		wantN(t, "Send after Leave", n, err, 2)
		wantNothing(t, pc)
		n, err = m[3].Group("room").CloseWith(ctx, 4001, "over")
		wantN(t, "CloseWith", n, err, 2)
		n, err = m[3].Group("room").Send(ctx, gateway.Text("4"))
		wantN(t, "Send to a group that is over", n, err, 0)
		n, err = m[1].CloseAll(ctx)
		wantN(t, "CloseAll", n, err, 1)
	})
}

// What is sent to a group concerns the nodes that have members, and no others.
func TestGroupSendGoesWhereMembersAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := clustertest.NewNetwork(1)
		m := members(t, w, 5)
		id, p := m[1].open(t, "room")
		m[2].open(t, "other")
		time.Sleep(time.Second)
		before := [5]uint64{}
		for i := range m {
			before[i] = m[i].node.Stats().Served
		}
		for range 10 {
			n, err := m[0].Group("room").Send(ctx, gateway.Text("x"))
			wantN(t, "Send", n, err, 1)
			wantText(t, p, "x")
		}
		wantErr(t, "Close", m[0].Close(ctx, id), nil)
		p.Closed()
		time.Sleep(time.Second)
		n, err := m[0].Group("room").Send(ctx, gateway.Text("x"))
		wantN(t, "Send when the last has left", n, err, 0)
		for i, want := range []uint64{0, 11, 0, 0, 0} {
			if got := m[i].node.Stats().Served - before[i]; got != want {
				t.Errorf("node %d was asked %d times, want %d", i, got, want)
			}
		}
	})
}

func TestListsInPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := clustertest.NewNetwork(1)
		m := members(t, w, 2)
		var want []string
		for i := range 300 {
			id, _ := m[1].open(t, fmt.Sprintf("%d %s", i, strings.Repeat("long", 60)))
			wantErr(t, "Join", m[1].Group("all").Join(ctx, id), nil)
			want = append(want, id)
		}
		slices.Sort(want)
		cluster.SetMaxFrame(m[0].node, 4000)
		defer cluster.SetMaxFrame(m[0].node, clustertest.MaxFrame)
		before := m[1].node.Stats().Served
		if got, err := m[0].List(ctx); !slices.Equal(got, want) || err != nil {
			t.Errorf("List = %d ids, %v, want %d", len(got), err, len(want))
		}
		if pages := m[1].node.Stats().Served - before; pages < 5 {
			t.Errorf("the list came in %d pages, want at least 5", pages)
		}
		if got, err := m[0].Groups(ctx); len(got) != 301 || err != nil || !slices.IsSorted(got) {
			t.Errorf("Groups = %d names, %v, want 301 in order", len(got), err)
		}
		for name, g := range map[string]gateway.Group{"all": m[0].Group("all"), "All()": m[0].All()} {
			var got []string
			for member, err := range g.Members(ctx) {
				wantErr(t, "Members", err, nil)
				got = append(got, member.SocketID)
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("Members of %s = %d, want %d", name, len(got), len(want))
			}
		}
		for range m[0].ListSeq(ctx) {
			break
		}
	})
}

func TestTooLargeIsSaidFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := members(t, clustertest.NewNetwork(1), 2)
		id, p := m[1].open(t)
		huge := gateway.Binary(make([]byte, clustertest.MaxFrame))
		wantErr(t, "Send above MaxFrame", m[0].Send(ctx, id, huge), gateway.ErrTooLarge)
		wantErr(t, "Send above MaxFrame to nobody", m[0].Send(ctx, unknown, huge), gateway.ErrTooLarge)
		_, err := m[0].All().Send(ctx, huge)
		wantErr(t, "Send to All above MaxFrame", err, gateway.ErrTooLarge)
		fits := gateway.Binary(make([]byte, clustertest.MaxFrame-200))
		wantErr(t, "Send below it", m[0].Send(ctx, id, fits), nil)
		p.Receive()
		wantErr(t, "Send after all that", m[0].Send(ctx, id, gateway.Text("x")), nil)
		wantText(t, p, "x")
	})
}

func TestCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := clustertest.NewNetwork(1)
		m := members(t, w, 2)
		id, p := m[1].open(t)
		ended, cancel := context.WithCancel(ctx)
		cancel()
		wantErr(t, "Send with an ended context", m[0].Send(ended, id, gateway.Text("x")),
			gateway.ErrTimeout)
		wantNothing(t, p)
		w.Set(clustertest.Faults{Lose: 1})
		start := time.Now()
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		wantErr(t, "Send into the void", m[0].Send(short, id, gateway.Text("x")), gateway.ErrTimeout)
		if took := time.Since(start); took != 300*time.Millisecond {
			t.Errorf("the call took %v, want 300ms", took)
		}
		w.Set(clustertest.Faults{})
		wantErr(t, "Send", m[0].Send(ctx, id, gateway.Text("y")), nil)
		wantText(t, p, "y")
	})
}

// Whoever waits without a deadline waits CallTimeout where frames are lost and beats are
// not.
func TestCallTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := clustertest.NewNetwork(1)
		m := members(t, w, 2)
		id, _ := m[1].open(t)
		w.LoseFramesOnly(true)
		start := time.Now()
		wantErr(t, "Send", m[0].Send(ctx, id, gateway.Text("x")), gateway.ErrTimeout)
		if took := time.Since(start); took < 5*time.Second || took > 6*time.Second {
			t.Errorf("the call took %v, want 5 to 6 s", took)
		}
		w.LoseFramesOnly(false)
	})
}

func TestOneNodeOneHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := join(t, clustertest.NewNetwork(1), nil)
		defer func() {
			if v := recover(); !strings.Contains(fmt.Sprint(v), "another Handler") {
				t.Errorf("a second New panicked with %v", v)
			}
		}()
		gateway.New(&gateway.Options{Engine: m.node})
	})
}

func TestWrongOptionsFailJoin(t *testing.T) {
	for text, opts := range map[string]*cluster.Options{
		"Options.Name":      {Name: "too short"},
		"10 characters":     {Name: "ABCDEFGHIJ"},
		"Options.Heartbeat": {Heartbeat: time.Microsecond},
		"negative":          {MaxNodes: -1},
		"GoneAfter":         {GoneAfter: time.Second},
		"Options.Version":   {Version: strings.Repeat("v", 65)},
	} {
		_, err := cluster.Join(ctx, clustertest.NewNetwork(1).NewTransport(), opts)
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("Join with %+v = %v, want an error that says %q", *opts, err, text)
		}
	}
}

func TestNameTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := clustertest.NewNetwork(1)
		join(t, w, &cluster.Options{Name: "abcdefghij"})
		_, err := cluster.Join(ctx, w.NewTransport(), &cluster.Options{Name: "abcdefghij"})
		if !errors.Is(err, cluster.ErrNameTaken) {
			t.Errorf("Join under a name that is taken = %v, want ErrNameTaken", err)
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := cluster.Join(ended, w.NewTransport(), nil); err == nil {
			t.Error("Join with an ended context = nil, want an error")
		}
	})
}
