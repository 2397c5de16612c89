package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
)

// dialAll opens n sockets at / and returns them by their ids, which are sorted.
func dialAll(t *testing.T, gw *gateway.Handler,
	n int) (ids []string, peers map[string]*gatewaytest.Peer) {
	t.Helper()
	peers = map[string]*gatewaytest.Peer{}
	srv := serve(t, gw)
	for range n {
		p := srv.Dial(t, "/")
		synctest.Wait()
		now, err := gw.List(t.Context())
		wantErr(t, "List", err, nil)
		for _, id := range now {
			if peers[id] == nil {
				peers[id] = p
			}
		}
	}
	return slices.Sorted(maps.Keys(peers)), peers
}

func wantLen(t *testing.T, name string, g gateway.Group, want int) {
	t.Helper()
	if n, err := g.Len(t.Context()); n != want || err != nil {
		t.Errorf("Len of group %s = %d, %v, want %d", name, n, err, want)
	}
}

// members are the ids that Members yields, sorted.
func members(t *testing.T, g gateway.Group) (ids []string) {
	t.Helper()
	for m, err := range g.Members(t.Context()) {
		wantErr(t, "Members", err, nil)
		ids = append(ids, m.SocketID)
	}
	slices.Sort(ids)
	return ids
}

// A group's whole life: it exists while it has members, and its messages reach
// them, each once, and nobody else.
func TestGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, ctx := quiet(), t.Context()
		gw.Handle("/", &recorder{})
		ids, peers := dialAll(t, gw, 4)
		g := gw.Group("room")
		wantLen(t, "room", g, 0)
		if n, err := g.Send(ctx, gateway.Text("nobody")); n != 0 || err != nil {
			t.Errorf("Send to an empty group = %d, %v, want 0, nil", n, err)
		}
		for _, id := range ids[:3] {
			wantErr(t, "Join", g.Join(ctx, id), nil)
			wantErr(t, "Join again", g.Join(ctx, id), nil)
		}
		wantLen(t, "room", g, 3)
		wantLen(t, "All", gw.All(), 4)
		if got := members(t, g); !slices.Equal(got, ids[:3]) {
			t.Errorf("Members = %q, want %q", got, ids[:3])
		}
		if names, err := gw.Groups(ctx); err != nil || !slices.Equal(names, []string{"room"}) {
			t.Errorf("Groups = %q, %v, want room", names, err)
		}
		for text, c := range map[string]struct {
			g    gateway.Group
			want []string
		}{
			"to the group":   {g, ids[:3]},
			"but for one":    {g.Except(ids[0]), ids[1:3]},
			"but for two":    {g.Except(ids[0]).Except(ids[1], "nobody"), ids[2:3]},
			"to all":         {gw.All(), ids},
			"to all but one": {gw.All().Except(ids[3]), ids[:3]},
		} {
			if n, err := c.g.Send(ctx, gateway.Text(text)); n != len(c.want) || err != nil {
				t.Errorf("Send %s = %d, %v, want %d", text, n, err, len(c.want))
			}
			synctest.Wait()
			for id, p := range peers {
				if slices.Contains(c.want, id) {
					wantText(t, p, text)
				}
				if !p.Empty() {
					t.Errorf("%s: socket %s got %q more", text, id, p.Receive().Data)
				}
			}
		}
		wantErr(t, "Leave", g.Leave(ctx, ids[0]), nil)
		wantErr(t, "Leave again", g.Leave(ctx, ids[0]), nil)
		wantErr(t, "Leave of no member", g.Leave(ctx, ids[3]), nil)
		peers[ids[1]].Cut()
		synctest.Wait()
		if got := members(t, g); !slices.Equal(got, ids[2:3]) {
			t.Errorf("after one has left and one was cut, Members = %q, want %q", got, ids[2:3])
		}
		wantErr(t, "Leave of the last", g.Leave(ctx, ids[2]), nil)
		if names, err := gw.Groups(ctx); err != nil || len(names) != 0 {
			t.Errorf("Groups after the last has left = %q, %v, want none", names, err)
		}
	})
}

// What groups refuse, and with which error.
func TestGroupFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := gateway.New(&gateway.Options{Logger: (&logbook{}).logger(), MaxGroupsPerSocket: 2})
		gw.Handle("/", &recorder{})
		ids, _ := dialAll(t, gw, 1)
		ctx, ended := t.Context(), endedContext()
		send := func(g gateway.Group, ctx context.Context, m gateway.Message) error {
			n, err := g.Send(ctx, m)
			if n != 0 {
				t.Errorf("a Send that fails reports %d sockets, want 0", n)
			}
			return err
		}
		bad := map[string]gateway.Group{
			"the zero Group": {}, "an empty name": gw.Group(""),
			"a long name": gw.Group(strings.Repeat("x", 257)), "a name that is not UTF-8": gw.Group("\xff"),
		}
		for name, g := range bad {
			_, lenErr := g.Len(ctx)
			_, closeErr := g.CloseWith(ctx, 1000, "")
			var memberErr error
			for _, memberErr = range g.Members(ctx) {
			}
			for call, err := range map[string]error{"Join": g.Join(ctx, ids[0]),
				"Leave": g.Leave(ctx, ids[0]), "Send": send(g, ctx, gateway.Text("x")),
				"Len": lenErr, "CloseWith": closeErr, "Members": memberErr} {
				wantErr(t, call+" of "+name, err, gateway.ErrInvalid)
			}
		}
		g := gw.Group(strings.Repeat("x", 256))
		_, codeErr := g.CloseWith(ctx, 1006, "")
		_, reasonErr := g.CloseWith(ctx, 1000, strings.Repeat("x", 124))
		wantErr(t, "Join", g.Join(ctx, ids[0]), nil)
		wantErr(t, "Join of a second", gw.Group("2").Join(ctx, ids[0]), nil)
		for call, c := range map[string]struct {
			err  error
			want *gateway.Error
		}{
			"Join of a third":           {gw.Group("3").Join(ctx, ids[0]), gateway.ErrInvalid},
			"Join of All":               {gw.All().Join(ctx, ids[0]), gateway.ErrInvalid},
			"Leave of All":              {gw.All().Leave(ctx, ids[0]), gateway.ErrInvalid},
			"Join without id":           {g.Join(ctx, ""), gateway.ErrInvalid},
			"Join of nobody":            {g.Join(ctx, "nobody"), gateway.ErrNotFound},
			"Leave of nobody":           {g.Leave(ctx, "nobody"), gateway.ErrNotFound},
			"Send of bad text":          {send(g, ctx, gateway.Text("\xff")), gateway.ErrInvalid},
			"Send of no type":           {send(g, ctx, gateway.Message{}), gateway.ErrInvalid},
			"Send with an ended ctx":    {send(g, ended, gateway.Text("x")), gateway.ErrTimeout},
			"CloseWith a reserved code": {codeErr, gateway.ErrInvalid},
			"CloseWith a long reason":   {reasonErr, gateway.ErrInvalid},
		} {
			wantErr(t, call, c.err, c.want)
		}
		wantLen(t, "x", g, 1)
		wantErr(t, "Leave", gw.Group("2").Leave(ctx, ids[0]), nil)
		wantErr(t, "Join after a Leave", gw.Group("3").Join(ctx, ids[0]), nil)
	})
}

func endedContext() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// Groups are left when closing begins; the close event still names them, and info
// shows them, sorted.
func TestGroupsInInfo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, r := quiet(), &recorder{}
		var atClose []string
		r.on = func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
			if ev.Type == gateway.EventClose {
				atClose = s.Info().Groups
				wantErr(t, "Join in a close event", gw.Group("c").Join(ctx, s.ID()), gateway.ErrClosed)
				wantErr(t, "Leave in a close event", gw.Group("a").Leave(ctx, s.ID()), nil)
				for _, name := range []string{"a", "b"} {
					wantLen(t, name, gw.Group(name), 0)
				}
				wantLen(t, "All", gw.All(), 0)
			}
			return nil
		}
		s, p := open(t, gw, r)
		for _, name := range []string{"b", "a", "gone"} {
			wantErr(t, "Join", gw.Group(name).Join(t.Context(), s.ID()), nil)
		}
		wantErr(t, "Leave", gw.Group("gone").Leave(t.Context(), s.ID()), nil)
		info, err := gw.Info(t.Context(), s.ID())
		if err != nil || !slices.Equal(info.Groups, []string{"a", "b"}) {
			t.Errorf("Info().Groups = %q, %v, want a and b", info.Groups, err)
		}
		p.Cut()
		synctest.Wait()
		if !slices.Equal(atClose, []string{"a", "b"}) {
			t.Errorf("the groups in the close event are %q, want a and b", atClose)
		}
	})
}

// The groups of an admission are joined before anybody can know the socket; those
// that cannot be are logged.
func TestGroupsOfAnAdmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := new(logbook)
		gw := gateway.New(&gateway.Options{Logger: book.logger(), MaxGroupsPerSocket: 2,
			Authorize: func(*http.Request) (*gateway.Admission, error) {
				return &gateway.Admission{Values: map[string]string{"user": "ann"},
					Groups: []string{"one", "", "two", "three"}}, nil
			}})
		r := &recorder{}
		var inOpen []string
		r.on = func(_ context.Context, s *gateway.Socket, ev gateway.Event) error {
			if ev.Type == gateway.EventOpen {
				inOpen = s.Info().Groups
			}
			return nil
		}
		s, _ := open(t, gw, r)
		if !slices.Equal(inOpen, []string{"one", "two"}) {
			t.Errorf("the groups in the open event are %q, want one and two", inOpen)
		}
		if n := strings.Count(book.String(), "group of an admission not joined"); n != 2 {
			t.Errorf("%d groups are logged as not joined, want 2:\n%s", n, book)
		}
		for m, err := range gw.Group("one").Members(t.Context()) {
			if err != nil || m.SocketID != s.ID() || m.Values["user"] != "ann" ||
				!m.Opened.Equal(s.Info().Opened) {
				t.Errorf("Members yields %+v, %v, want the socket with its values", m, err)
			}
			m.Values["user"] = "changed"
		}
		if got := s.Value("user"); got != "ann" {
			t.Errorf("Value(user) = %q after a Member's was changed, want ann", got)
		}
	})
}

// OnRefused names who did not accept, and why; the rest is not harmed, and nothing
// of it is an error.
func TestGroupOnRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := withLimits(gateway.Limits{QueueMessages: 1, SendLimit: 200_000})
		gw.Handle("/", &recorder{})
		ids, peers := dialAll(t, gw, 3)
		slow := peers[ids[1]]
		slow.Stall()
		wantErr(t, "Send", gw.Send(t.Context(), ids[1], gateway.Text(blocker)), nil)
		synctest.Wait()
		refused := map[string]error{}
		g := gw.All().OnRefused(func(id string, err error) { refused[id] = err })
		n, err := g.Send(t.Context(), gateway.Text("hello"))
		if n != 2 || err != nil || len(refused) != 1 ||
			!errors.Is(refused[ids[1]], gateway.ErrQueueFull) {
			t.Errorf("Send = %d, %v, refused %v, want 2 and queue_full for %s", n, err, refused, ids[1])
		}
		if st := gw.Stats(); st.QueueFull != 1 || st.MessagesOut != 3 {
			t.Errorf("Stats: %d refused, %d sent, want 1 and 3", st.QueueFull, st.MessagesOut)
		}
		clear(refused)
		if n, err := g.Send(t.Context(), gateway.Text(strings.Repeat("x", 200_001))); n != 0 ||
			err != nil || len(refused) != 3 || !errors.Is(refused[ids[0]], gateway.ErrTooLarge) {
			t.Errorf("Send above the limit = %d, %v, refused %v, want 0 and too_large for each", n, err,
				refused)
		}
		slow.Resume()
		wantText(t, peers[ids[0]], "hello")
		wantText(t, peers[ids[2]], "hello")
	})
}

// CloseWith closes the members, but not the excepted, with code and reason.
func TestGroupCloseWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := quiet()
		gw.Handle("/", &recorder{})
		ids, peers := dialAll(t, gw, 4)
		g := gw.Group("room")
		for _, id := range ids[:3] {
			wantErr(t, "Join", g.Join(t.Context(), id), nil)
		}
		if n, err := g.Except(ids[0]).CloseWith(t.Context(), 4001, "closing time"); n != 2 || err != nil {
			t.Errorf("CloseWith = %d, %v, want 2", n, err)
		}
		wantClosed(t, peers[ids[1]], 4001, "closing time")
		wantClosed(t, peers[ids[2]], 4001, "closing time")
		synctest.Wait()
		if now, err := gw.List(t.Context()); err != nil || !slices.Equal(now, []string{ids[0], ids[3]}) {
			t.Errorf("List = %q, %v, want the other two", now, err)
		}
		wantLen(t, "room", g, 1)
		if n, err := gw.All().CloseWith(t.Context(), 0, ""); n != 2 || err != nil {
			t.Errorf("CloseWith of All = %d, %v, want 2", n, err)
		}
		wantClosed(t, peers[ids[0]], 1000, "operation")
	})
}

// One sender's messages to a socket keep their order, single and group sends
// together; in a group large enough for several cores too.
func TestGroupOrder(t *testing.T) {
	const sockets, messages = 1100, 8
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4)) // so that there are helpers
	synctest.Test(t, func(t *testing.T) {
		gw := gateway.New(&gateway.Options{Logger: (&logbook{}).logger(), MaxSocketsPerAddr: -1})
		gw.Handle("/", &recorder{})
		srv := serve(t, gw)
		var peers []*gatewaytest.Peer
		for range sockets {
			peers = append(peers, srv.Dial(t, "/"))
		}
		synctest.Wait()
		ids, err := gw.List(t.Context())
		wantErr(t, "List", err, nil)
		for i := range messages {
			m := gateway.Text(fmt.Sprint(i))
			if i%2 == 1 {
				for _, id := range ids {
					wantErr(t, "Send", gw.Send(t.Context(), id, m), nil)
				}
			} else if n, err := gw.All().Send(t.Context(), m); n != sockets || err != nil {
				t.Errorf("Send to All = %d, %v, want %d", n, err, sockets)
			}
		}
		for _, p := range peers {
			for i := range messages {
				wantText(t, p, fmt.Sprint(i))
			}
		}
	})
}

// After Leave has returned, nothing that is sent to the group is queued for the
// socket any more: what comes between two marks of a time without membership are
// no messages of the group.
func TestNothingAfterLeave(t *testing.T) {
	gw, ctx := quiet(), context.Background()
	gw.Handle("/", &recorder{})
	p := serve(t, gw).Dial(t, "/")
	ids, err := gw.List(ctx)
	if err != nil || len(ids) != 1 {
		t.Fatalf("List = %q, %v, want one socket", ids, err)
	}
	g := gw.Group("room")
	var sender sync.WaitGroup
	var stop atomic.Bool
	defer sender.Wait()
	defer stop.Store(true)
	sender.Go(func() {
		for !stop.Load() {
			if _, err := g.Send(ctx, gateway.Text("of the group")); err != nil {
				t.Errorf("Send = %v, want nil", err)
				return
			}
		}
	})
	for range 100 {
		wantErr(t, "Join", g.Join(ctx, ids[0]), nil)
		wantText(t, p, "of the group")
		wantErr(t, "Leave", g.Leave(ctx, ids[0]), nil)
		wantErr(t, "SendSync", gw.SendSync(ctx, ids[0], gateway.Text("has left")), nil)
		runtime.Gosched()
		wantErr(t, "SendSync", gw.SendSync(ctx, ids[0], gateway.Text("will join")), nil)
		for string(p.Receive().Data) == "of the group" { // up to "has left"
		}
		wantText(t, p, "will join")
	}
}

// Who joins and leaves while others send, look and close: what remains is nothing.
func TestGroupRaces(t *testing.T) {
	c := newCrowd(t, 200)
	ctx := context.Background()
	var all sync.WaitGroup
	for w := range 6 {
		all.Go(func() {
			for i := range 400 {
				g, id := c.gw.Group(fmt.Sprint(i%7)), c.ids[(i*31+w*17)%len(c.ids)]
				var err error
				switch (i + w) % 6 {
				case 0, 1:
					err = g.Join(ctx, id)
				case 2:
					err = g.Leave(ctx, id)
				case 3:
					_, err = g.Except(id).Send(ctx, gateway.Text("x"))
				case 4:
					for range g.Members(ctx) {
						break
					}
					_, err = c.gw.Groups(ctx)
				case 5:
					err = c.gw.Close(ctx, id)
				}
				if err != nil && !errors.Is(err, gateway.ErrNotFound) && !errors.Is(err, gateway.ErrClosed) {
					t.Errorf("a group's operation = %v, want nil, not_found or closed", err)
				}
			}
		})
	}
	all.Wait()
	if _, err := c.gw.CloseAll(ctx); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(time.Minute); c.open.Load() > 0 && time.Now().Before(deadline); {
		runtime.Gosched()
	}
	if names, err := c.gw.Groups(ctx); err != nil || len(names) != 0 {
		t.Errorf("Groups after all sockets have gone = %q, %v, want none", names, err)
	}
}
