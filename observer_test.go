package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
	"github.com/wsgateway/gateway/internal/lockorder"
)

// A watcher is an observer that writes everything down.
type watcher struct {
	mu    sync.Mutex
	lines []string
}

func (w *watcher) note(format string, args ...any) {
	if name := lockorder.Held(); name != "" {
		args, format = append(args, name), format+" while %s is held"
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, fmt.Sprintf(format, args...))
}

// take returns what was seen, and begins anew.
func (w *watcher) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := strings.Join(w.lines, "; ")
	w.lines = nil
	return all
}

func (w *watcher) observer() gateway.Observer {
	return gateway.Observer{
		SocketOpened: func(o gateway.SocketOpened) { w.note("opened %s %t", o.Route, o.SocketID != "") },
		SocketClosed: func(c gateway.SocketClosed) {
			w.note("closed %s %s %d after %v", c.Route, c.Closed.Cause, c.Closed.Code, c.Open)
		},
		UpgradeRefused: func(u gateway.UpgradeRefused) {
			w.note("refused %q %s %d %t", u.Route, u.Type, u.Status, u.RemoteAddr != "")
		},
		EventServed: func(e gateway.EventServed) {
			w.note("served %s %v %d bytes in %v: %v", e.Route, e.Event, e.Bytes, e.Duration, e.Err)
		},
		SendRefused: func(s gateway.SendRefused) {
			w.note("send refused %s %v %d: %s", s.Route, s.Type, s.Bytes, gateway.ErrorOf(s.Err).Type)
		},
	}
}

// What happens to sockets is told in order, with durations and errors.
func TestObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watcher{}
		gw := gateway.New(&gateway.Options{
			Logger: (&logbook{}).logger(), Observer: w.observer(),
			Limits: gateway.Limits{MessagesPerSecond: -1, SendLimit: 10},
		})
		var last *gateway.Socket
		gw.HandleFunc("/x", func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
			last = s
			switch ev.Type {
			case gateway.EventData:
				time.Sleep(time.Second)
				return errors.New("broken")
			case gateway.EventClose:
				time.Sleep(time.Minute)
			}
			return nil
		})
		srv := serve(t, gw)
		p := srv.Dial(t, "/x")
		synctest.Wait()
		wantSeen(t, w, "opened /x true; served /x open 0 bytes in 0s: <nil>")

		m := gateway.Text("far too long a text")
		wantErr(t, "Send", last.Send(t.Context(), m), gateway.ErrTooLarge)
		wantErr(t, "SendSync", last.SendSync(t.Context(), m), gateway.ErrTooLarge)
		gw.All().Send(t.Context(), m)
		wantSeen(t, w, strings.Repeat("send refused /x data-text 19: too_large; ", 2)+
			"send refused /x data-text 19: too_large")

		p.Send(gateway.Text("now"))
		wantClosed(t, p, 1011, "endpoint")
		synctest.Wait()
		wantSeen(t, w, "served /x data 3 bytes in 1s: broken")
		wantErr(t, "Send", last.Send(t.Context(), gateway.Text("x")), gateway.ErrClosed)
		wantSeen(t, w, "send refused /x data-text 1: closed")
		time.Sleep(time.Minute)
		synctest.Wait()
		wantSeen(t, w, "served /x close 0 bytes in 1m0s: <nil>; closed /x endpoint 1011 after 1s")

		wantRefused(t, srv, "/x", map[string][]string{"Origin": {"http://evil.test"}}, 403, "forbidden")
		wantRefused(t, srv, "/y", nil, 404, "no_route")
		wantSeen(t, w, `refused "/x" forbidden 403 true; refused "" no_route 404 true`)
	})
}

func wantSeen(t *testing.T, w *watcher, want string) {
	t.Helper()
	synctest.Wait()
	if got := w.take(); got != want {
		t.Errorf("the observer saw\n %s\nwant\n %s", got, want)
	}
}

// A full queue is told for the sender and for each member of a group.
func TestObserverOfFullQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watcher{}
		gw := gateway.New(&gateway.Options{
			Logger:   (&logbook{}).logger(),
			Observer: gateway.Observer{SendRefused: w.observer().SendRefused},
			Limits:   gateway.Limits{QueueMessages: 1, WriteTimeout: time.Hour},
		})
		s, p := open(t, gw, &recorder{})
		p.Stall()
		big := gateway.Text(strings.Repeat("x", 500_000))
		wantErr(t, "Send", s.Send(t.Context(), big), nil)
		synctest.Wait()
		wantErr(t, "Send", s.Send(t.Context(), gateway.Text("x")), gateway.ErrQueueFull)
		gw.All().Send(t.Context(), gateway.Binary([]byte("y")))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantErr(t, "SendWait", s.SendWait(ctx, gateway.Text("zz")), gateway.ErrTimeout)
		wantErr(t, "SendSync", s.SendSync(ctx, gateway.Text("zz")), gateway.ErrTimeout)
		wantErr(t, "Send", s.Send(ctx, gateway.Text("zz")), gateway.ErrTimeout)
		wantSeen(t, w, "send refused / data-text 1: queue_full; "+
			"send refused / data-binary 1: queue_full; "+
			"send refused / data-text 2: timeout; send refused / data-text 2: timeout; "+
			"send refused / data-text 2: timeout")
		if got := gw.Stats().SendsRefused; got["queue_full"] != 2 || got["timeout"] != 3 {
			t.Errorf("SendsRefused = %v, want what the observer saw", got)
		}
	})
}

// An observer that is told of a refused message may take its time: all members of a group
// that accept the message get it nevertheless.
func TestObserverDelaysNoMember(t *testing.T) {
	for name, paths := range map[string][]string{
		"refused first":    {"/small", "/x"},
		"refused last":     {"/x", "/small"},
		"a large group":    append(slices.Repeat([]string{"/small"}, 600), "/x"),
		"at its beginning": append([]string{"/x"}, slices.Repeat([]string{"/small"}, 600)...),
	} {
		bubble(t, name, func(t *testing.T) {
			arrived := make(chan struct{})
			gw := gateway.New(&gateway.Options{
				Logger: (&logbook{}).logger(), MaxSocketsPerAddr: -1,
				Observer: gateway.Observer{SendRefused: func(gateway.SendRefused) {
					wantNoLock(t)
					<-arrived
				}},
			})
			gw.Handle("/x", echo())
			gw.HandleRoute(gateway.Route{
				Pattern: "/small", Endpoint: echo(), Limits: gateway.Limits{SendLimit: 3},
			})
			srv := serve(t, gw)
			var member *gatewaytest.Peer
			for _, path := range paths {
				p := srv.Dial(t, path)
				if path == "/x" {
					member = p
				}
			}
			synctest.Wait()
			go func() {
				wantText(t, member, "for all")
				close(arrived)
			}()
			refused := 0
			n, err := gw.All().OnRefused(func(string, error) { refused++ }).
				Send(t.Context(), gateway.Text("for all"))
			if n != 1 || err != nil || refused != len(paths)-1 {
				t.Errorf("Send = %d, %v, %d refused; want 1, and %d refused", n, err, refused, len(paths)-1)
			}
			if got := gw.Stats().SendsRefused["too_large"]; got != uint64(refused) {
				t.Errorf("%d refused sends are counted, want each of %d once", got, refused)
			}
		})
	}
}

// wantNoLock fails the test if code of the program is called with a lock of the gateway. It
// knows in builds with the tag lockorder.
func wantNoLock(t *testing.T) {
	t.Helper()
	if name := lockorder.Held(); name != "" {
		t.Errorf("the program is called while %s is held", name)
	}
}

// An observer that panics is logged, and nothing else changes.
func TestObserverThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var book logbook
		gw := gateway.New(&gateway.Options{
			Logger: book.logger(),
			Observer: gateway.Observer{
				SocketOpened:   func(gateway.SocketOpened) { panic("in SocketOpened") },
				SocketClosed:   func(gateway.SocketClosed) { panic("in SocketClosed") },
				UpgradeRefused: func(gateway.UpgradeRefused) { panic("in UpgradeRefused") },
				EventServed:    func(gateway.EventServed) { panic("in EventServed") },
				SendRefused:    func(gateway.SendRefused) { panic("in SendRefused") },
			},
			Limits: gateway.Limits{MessagesPerSecond: -1, SendLimit: 10},
		})
		gw.Handle("/x", echo())
		srv := serve(t, gw)
		p := srv.Dial(t, "/x")
		p.Send(gateway.Text("hello"))
		wantText(t, p, "hello")
		gw.All().Send(t.Context(), gateway.Text("far too long a text"))
		wantRefused(t, srv, "/y", nil, 404, "no_route")
		p.Close(1000, "")
		synctest.Wait()
		names := "SocketOpened SocketClosed UpgradeRefused EventServed SendRefused"
		for name := range strings.FieldsSeq(names) {
			if !strings.Contains(book.String(), "function="+name+" error=\"in "+name) {
				t.Errorf("the panic in %s is not logged", name)
			}
		}
		if st := gw.Stats(); st.EndpointErrors != 0 || st.Closed[gateway.CauseClient] != 1 {
			t.Errorf("Stats = %+v, want no endpoint's error", st.Counters)
		}
	})
}
