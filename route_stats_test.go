package gateway_test

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
)

// Each route counts its own sockets, and the sum is what the gateway counts.
func TestStatsByRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := gateway.New(&gateway.Options{
			Logger: (&logbook{}).logger(),
			Limits: gateway.Limits{MessagesPerSecond: -1, SendLimit: 100},
		})
		gw.Handle("/a/{id}", echo())
		gw.HandleFunc("/b", func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
			if ev.Type == gateway.EventOpen {
				return gw.Group("g").Join(ctx, s.ID())
			}
			if ev.Type == gateway.EventData {
				return errors.New("broken")
			}
			return nil
		})
		gw.HandleRoute(gateway.Route{
			Pattern: "/drops", Endpoint: echo(),
			Limits: gateway.Limits{MessagesPerSecond: 1, Burst: 1, OnRateExceeded: gateway.RateDrop},
		})
		srv := serve(t, gw)
		a1, a2 := srv.Dial(t, "/a/1"), srv.Dial(t, "/a/2")
		for _, text := range []string{"12", "345"} {
			a1.Send(gateway.Text(text))
			wantText(t, a1, text)
		}
		a2.Close(1000, "")
		b := srv.Dial(t, "/b")
		srv.Dial(t, "/b")
		b.Send(gateway.Text("now"))
		wantClosed(t, b, 1011, "endpoint")
		drops := srv.Dial(t, "/drops")
		drops.Send(gateway.Text("1"))
		drops.Send(gateway.Text("2"))
		synctest.Wait()
		gw.All().Send(t.Context(), gateway.Text(strings.Repeat("x", 101)))
		wantRefused(t, srv, "/a/3", map[string][]string{"Origin": {"http://evil.test"}}, 403, "forbidden")
		wantRefused(t, srv, "/nowhere", nil, 404, "no_route")
		synctest.Wait()

		st := gw.Stats()
		got := slices.Sorted(maps.Keys(st.Routes))
		if !slices.Equal(got, []string{"/a/{id}", "/b", "/drops"}) {
			t.Errorf("Stats has the routes %q", got)
		}
		type short struct {
			open, opened          int
			in, inB, out, outB    uint64
			dropped, errs, groups int
			refused, tooLarge     uint64
			closed                string
		}
		shorten := func(c gateway.Counters) short {
			s := short{c.Open, int(c.Opened), c.MessagesIn, c.BytesIn, c.MessagesOut, c.BytesOut,
				int(c.RateDropped), int(c.EndpointErrors), int(c.Memberships),
				c.Refused["forbidden"] + c.Refused["no_route"], c.SendsRefused["too_large"], ""}
			for _, cause := range slices.Sorted(maps.Keys(c.Closed)) {
				s.closed += string(cause) + " "
			}
			return s
		}
		for pattern, want := range map[string]short{
			"/a/{id}": {1, 2, 2, 5, 2, 5, 0, 0, 0, 1, 1, "client "},
			"/b":      {1, 2, 1, 3, 0, 0, 0, 1, 1, 0, 1, "endpoint "},
			"/drops":  {1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, ""},
		} {
			if got := shorten(st.Routes[pattern]); got != want {
				t.Errorf("the counters of %s:\n got %+v\nwant %+v", pattern, got, want)
			}
		}
		want := short{3, 5, 4, 9, 3, 6, 1, 1, 1, 2, 3, "client endpoint "}
		if got := shorten(st.Counters); got != want {
			t.Errorf("the counters of all:\n got %+v\nwant %+v", got, want)
		}
		if st.Groups != 1 {
			t.Errorf("Stats has %d groups, want 1", st.Groups)
		}
	})
}

// A route that is replaced goes on counting; one that is gone keeps what it counted.
func TestStatsOutliveRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := quiet()
		routes := func(patterns ...string) {
			var all []gateway.Route
			for _, p := range patterns {
				all = append(all, gateway.Route{Pattern: p, Endpoint: echo()})
			}
			wantErr(t, "Replace", gw.Replace("x", all), nil)
		}
		routes("/a", "/b", "/never")
		srv := serve(t, gw)
		srv.Dial(t, "/a")
		srv.Dial(t, "/b")
		routes("/a", "/c")
		srv.Dial(t, "/a")
		synctest.Wait()
		st := gw.Stats()
		a, b := st.Routes["/a"], st.Routes["/b"]
		if a.Open != 2 || a.Opened != 2 || b.Open != 0 || b.Closed[gateway.CauseRouteRemoved] != 1 {
			t.Errorf("after Replace: /a %+v, /b %+v", a, b)
		}
		if got := slices.Sorted(maps.Keys(st.Routes)); !slices.Equal(got, []string{"/a", "/b", "/c"}) {
			t.Errorf("Stats has the routes %q, want those registered and those that had sockets", got)
		}
	})
}

// What waits for a client that does not read is shown, and gone when it reads or ends.
func TestStatsOfWhatWaits(t *testing.T) {
	for name, end := range map[string]func(p interface{ Resume() }, cut func()){
		"it reads": func(p interface{ Resume() }, _ func()) { p.Resume() },
		"it ends":  func(_ interface{ Resume() }, cut func()) { cut() },
	} {
		bubble(t, name, func(t *testing.T) {
			r := &recorder{}
			gw := withLimits(gateway.Limits{QueueMessages: 10, QueueBytes: 1 << 20, WriteTimeout: time.Hour})
			s, p := open(t, gw, r)
			p.Stall()
			const size = 100_000 // more than the connection's buffer takes
			for range 5 {
				wantErr(t, "Send", s.Send(context.Background(), gateway.Text(strings.Repeat("x", size))), nil)
			}
			time.Sleep(1100 * time.Millisecond)
			synctest.Wait()
			st := gw.Stats()
			if st.WaitingMessages != 5 || st.WaitingBytes < 5*size-64<<10 || st.WaitingBytes > 5*size+100 {
				t.Errorf("%d messages with %d bytes wait, want 5 with %d, less what the connection took",
					st.WaitingMessages, st.WaitingBytes, 5*size)
			}
			end(p, p.Cut)
			time.Sleep(time.Second)
			synctest.Wait()
			if st := gw.Stats(); st.WaitingMessages != 0 || st.WaitingBytes != 0 {
				t.Errorf("%d messages with %d bytes still wait", st.WaitingMessages, st.WaitingBytes)
			}
		})
	}
}

// The same where the gateway writes to descriptors, which it notices at once.
func TestStatsOfWhatWaitsOnTCP(t *testing.T) {
	gw := withLimits(gateway.Limits{QueueMessages: 1000, QueueBytes: 64 << 20, SendLimit: -1})
	r := &recorder{}
	gw.Handle("/x", r)
	p := dialTCP(t, serveTCP(t, gw, false))
	p.upgrade("/x")
	until := func(what string, ok func(gateway.Stats) bool) {
		t.Helper()
		for range 20_000 {
			if ok(gw.Stats()) {
				return
			}
			time.Sleep(time.Millisecond)
		}
		t.Fatalf("never: %s; %+v", what, gw.Stats())
	}
	until("the open event", func(gateway.Stats) bool { return r.count() == 1 })
	const n = 12 // MiB, more than the kernel takes
	for range n {
		m := gateway.Binary(make([]byte, 1<<20))
		wantErr(t, "Send", r.socket().Send(context.Background(), m), nil)
	}
	until("messages wait", func(st gateway.Stats) bool {
		return st.WaitingMessages > 0 && st.WaitingBytes > 0
	})
	for range n {
		if first, payload := p.read(); first != 0x82 || len(payload) != 1<<20 {
			t.Fatalf("frame %#x with %d bytes", first, len(payload))
		}
	}
	until("nothing waits", func(st gateway.Stats) bool {
		return st.WaitingMessages == 0 && st.WaitingBytes == 0
	})
}

// Reading the counters takes no longer with many sockets: it looks at none.
func TestStatsLookAtNoSocket(t *testing.T) {
	cost := func(sockets int) (allocs float64) {
		synctest.Test(t, func(t *testing.T) {
			gw := gateway.New(&gateway.Options{Logger: (&logbook{}).logger(), MaxSocketsPerAddr: -1})
			gw.Handle("/", echo())
			srv := serve(t, gw)
			for range sockets {
				rawDial(t, srv, "/")
			}
			synctest.Wait()
			allocs = testing.AllocsPerRun(10, func() { runtime.KeepAlive(gw.Stats()) })
		})
		return allocs
	}
	if few, many := cost(1), cost(300); few != many {
		t.Errorf("Stats allocates %v times with 1 socket and %v with 300", few, many)
	}
}
