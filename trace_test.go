package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
)

// traced collects what a trace yields, as lines, until its context ends or the socket.
type traced struct {
	mu    sync.Mutex
	lines []string
	ids   map[string]int
	done  chan struct{}
}

func follow(ctx context.Context, gw *gateway.Handler, o gateway.TraceOptions) *traced {
	tr := &traced{done: make(chan struct{}), ids: map[string]int{}}
	go func() {
		defer close(tr.done)
		for r, err := range gw.TraceWith(ctx, o) {
			tr.mu.Lock()
			tr.lines = append(tr.lines, lineOf(&r, err))
			tr.ids[r.SocketID]++
			tr.mu.Unlock()
		}
	}()
	synctest.Wait()
	return tr
}

func lineOf(r *gateway.TraceRecord, err error) string {
	lost := ""
	if r.Lost > 0 {
		lost = fmt.Sprintf("[%d lost] ", r.Lost)
	}
	switch {
	case err != nil:
		return "error " + gateway.ErrorOf(err).Type
	case r.Kind == gateway.TraceEvent:
		return fmt.Sprintf("%s%v of %s %d %q %v %v %s", lost, r.Event, r.Route, r.Bytes, r.Body,
			r.Duration, r.Err, r.Closed.Cause)
	case r.Kind == gateway.TraceLost:
		return lost + "and nothing since"
	case r.Kind == gateway.TraceClosing:
		return lost + "closing " + string(r.Closed.Cause)
	case r.Kind == gateway.TraceRefused:
		return fmt.Sprintf("%srefused %d %s", lost, r.Bytes, gateway.ErrorOf(r.Err).Type)
	}
	return fmt.Sprintf("%s%s %v %d %q", lost, r.Kind, r.Type, r.Bytes, r.Body)
}

func (tr *traced) want(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if got, want := strings.Join(tr.lines, "\n"), strings.Join(want, "\n"); got != want {
		t.Errorf("the trace is\n%s\nwant\n%s", got, want)
	}
	tr.lines = nil
}

// A trace shows what happens to one socket, and ends with it.
func TestTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := gateway.New(&gateway.Options{Logger: (&logbook{}).logger(),
			Limits: gateway.Limits{MessagesPerSecond: -1, SendLimit: 20}})
		gw.HandleFunc("/x", func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
			if ev.Type != gateway.EventData {
				return nil
			}
			time.Sleep(time.Second)
			if string(ev.Message.Data) == "fail" {
				return errors.New("told to fail")
			}
			return s.Send(ctx, ev.Message)
		})
		srv := serve(t, gw)
		p := srv.Dial(t, "/x")
		synctest.Wait()
		ids, _ := gw.List(t.Context())
		srv.Dial(t, "/x").Send(gateway.Text("of another socket"))
		tr := follow(t.Context(), gw, gateway.TraceOptions{Socket: ids[0], Body: 3})
		plain := follow(t.Context(), gw, gateway.TraceOptions{Socket: ids[0]})
		p.Send(gateway.Text("hello"))
		wantText(t, p, "hello")
		tr.want(t, `sent data-text 5 "hel"`, `data of /x 5 "hel" 1s <nil> `)
		plain.want(t, `sent data-text 5 ""`, `data of /x 5 "" 1s <nil> `)
		gw.Send(t.Context(), ids[0], gateway.Text(strings.Repeat("x", 21)))
		gw.All().Send(t.Context(), gateway.Text("to all"))
		tr.want(t, "refused 21 too_large", `sent data-text 6 "to "`)
		p.Send(gateway.Text("fail"))
		time.Sleep(time.Second)
		tr.want(t, `data of /x 4 "fai" 1s told to fail `, "closing endpoint",
			`close of /x 0 "" 0s <nil> endpoint`)
		<-tr.done
		<-plain.done
		again := follow(t.Context(), gw, gateway.TraceOptions{Socket: ids[0]})
		again.want(t, "error not_found")
	})
}

// Who reads too slowly loses records, and is told; who stops reading is forgotten.
func TestTraceThatIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := quiet()
		s, p := open(t, gw, &recorder{})
		got, goOn := make(chan string), make(chan struct{})
		o := gateway.TraceOptions{Socket: s.ID(), Buffer: 2}
		go func() {
			defer close(got)
			for r, err := range gw.TraceWith(t.Context(), o) {
				got <- lineOf(&r, err)
				if <-goOn; r.Bytes == 2 {
					break
				}
			}
		}()
		synctest.Wait()
		for range 10 {
			s.Send(context.Background(), gateway.Text("x"))
			synctest.Wait()
		}
		next := func(want string) {
			t.Helper()
			if line := <-got; line != want {
				t.Errorf("the trace says %q, want %q", line, want)
			}
			goOn <- struct{}{}
			synctest.Wait()
		}
		next(`sent data-text 1 ""`) // one in hand, two in the buffer
		s.Send(context.Background(), gateway.Text("x"))
		s.Send(context.Background(), gateway.Text("x")) // one too many again
		next(`sent data-text 1 ""`)
		next(`sent data-text 1 ""`)
		next(`[7 lost] sent data-text 1 ""`)
		next(`[1 lost] and nothing since`)
		s.Send(context.Background(), gateway.Text("yy"))
		next(`sent data-text 2 ""`)
		if line, more := <-got; more {
			t.Errorf("after break the trace says %q", line)
		}
		if gateway.Traced(gw) {
			t.Error("the socket is still followed")
		}
		for range 13 {
			p.Receive()
		}
	})
}

// A trace whose end was lost says so before it ends.
func TestTraceWithoutItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := quiet()
		s, p := open(t, gw, &recorder{})
		goOn, done := make(chan struct{}), make(chan struct{})
		told, lost := 0, uint64(0)
		go func() {
			defer close(done)
			for r := range gw.TraceWith(t.Context(), gateway.TraceOptions{Socket: s.ID(), Buffer: 3}) {
				<-goOn
				if lost += r.Lost; r.Kind != gateway.TraceLost {
					told++
				} else if r.SocketID != s.ID() || r.Time.IsZero() {
					t.Errorf("%+v does not say which socket's records were lost, and when", r)
				}
			}
		}()
		synctest.Wait()
		for range 20 {
			s.Send(context.Background(), gateway.Text("x"))
			p.Receive()
			synctest.Wait()
		}
		p.Close(1000, "")
		synctest.Wait()
		close(goOn)
		<-done
		// 20 messages, that it closes, and the close event.
		if told != 4 || lost != 18 {
			t.Errorf("%d records were told and %d lost, want 4 and 18", told, lost)
		}
	})
}

// A trace of a route follows a sample of its sockets, those here and those to come; one of
// a group those that are in it.
func TestTraceOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := gateway.New(&gateway.Options{Logger: (&logbook{}).logger(), MaxSocketsPerAddr: -1})
		gw.Handle("/a", echo())
		gw.Handle("/b", echo())
		srv := serve(t, gw)
		for range 100 {
			rawDial(t, srv, "/a")
		}
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		some := follow(ctx, gw, gateway.TraceOptions{Route: "/a", Sample: 0.3})
		all := follow(ctx, gw, gateway.TraceOptions{Route: "/a"})
		group := follow(ctx, gw, gateway.TraceOptions{Group: "g"})
		for range 100 {
			rawDial(t, srv, "/a")
		}
		b := srv.Dial(t, "/b")
		synctest.Wait()
		var member string
		for m := range gw.All().Members(t.Context()) {
			if info, _ := gw.Info(t.Context(), m.SocketID); info.Route == "/b" {
				member = m.SocketID
			}
		}
		wantErr(t, "Join", gw.Group("g").Join(ctx, member), nil)
		gw.All().Send(ctx, gateway.Text("x"))
		synctest.Wait()
		wantErr(t, "Leave", gw.Group("g").Leave(ctx, member), nil)
		gw.All().Send(ctx, gateway.Text("after"))
		wantText(t, b, "x")
		group.want(t, `sent data-text 1 ""`)
		cancel()
		<-some.done
		<-all.done
		<-group.done
		if n := len(all.ids); n != 200 {
			t.Errorf("the trace of a route follows %d sockets, want 200", n)
		}
		if n := len(some.ids); n < 30 || n > 100 {
			t.Errorf("a sample of 0.3 follows %d of 200 sockets", n)
		}
		if gateway.Traced(gw) {
			t.Error("a socket is still followed after the traces have ended")
		}
	})
}

func TestTraceOfNothing(t *testing.T) {
	gw := quiet()
	gw.Handle("/x", echo())
	for name, c := range map[string]struct {
		o    gateway.TraceOptions
		want *gateway.Error
	}{
		"nothing":        {gateway.TraceOptions{}, gateway.ErrInvalid},
		"two things":     {gateway.TraceOptions{Socket: "a", Route: "/x"}, gateway.ErrInvalid},
		"nobody":         {gateway.TraceOptions{Socket: "nobody"}, gateway.ErrNotFound},
		"no route":       {gateway.TraceOptions{Route: "/y"}, gateway.ErrNotFound},
		"a bad sample":   {gateway.TraceOptions{Route: "/x", Sample: 2}, gateway.ErrInvalid},
		"a bad body":     {gateway.TraceOptions{Route: "/x", Body: 5000}, gateway.ErrInvalid},
		"a bad buffer":   {gateway.TraceOptions{Route: "/x", Buffer: -1}, gateway.ErrInvalid},
		"a group's body": {gateway.TraceOptions{Group: "g", Body: -1}, gateway.ErrInvalid},
	} {
		n := 0
		for _, err := range gw.TraceWith(t.Context(), c.o) {
			n++
			wantErr(t, "Trace of "+name, err, c.want)
		}
		if n != 1 {
			t.Errorf("Trace of %s yields %d times, want the error", name, n)
		}
	}
}

// A trace ends with its context, however much waits for the one who reads it.
func TestTraceEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := quiet()
		s, _ := open(t, gw, &recorder{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			time.Sleep(time.Second) // the trace has begun
			s.Send(ctx, gateway.Text("first"))
		}()
		told := 0
		for range gw.Trace(ctx, s.ID()) {
			cancel()
			told++
			s.Send(t.Context(), gateway.Text("one more"))
		}
		if told != 1 {
			t.Errorf("%d records were told, want 1: the context ended with the first", told)
		}
	})
}
