package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
)

// report lets a device report over HTTP.
func report(
	t *testing.T,
	srv *gatewaytest.Server,
	device, body string,
	header ...string,
) (int, string) {
	t.Helper()
	r, err := http.NewRequest(
		"POST",
		"http://app.example/api/devices/"+device,
		strings.NewReader(body),
	)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var text json.RawMessage
	if err := json.NewDecoder(resp.Body).Decode(&text); err != nil && resp.StatusCode != 403 {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// A device without a socket reports, and the sockets that follow get it.
func TestReportsOverHTTP(t *testing.T) {
	srv, _ := start(t, config{})
	report(t, srv, "earlier", `{"temperature":6}`)
	feed := srv.Dial(t, "/feed")
	expect(t, feed, `{"device":"earlier","temperature":6}`) // what is known comes when it follows
	if _, answer := report(t, srv, "meter", `{"temperature":7}`); answer != `{"told":1}` {
		t.Errorf("report = %s, want one told", answer)
	}
	expect(t, feed, `{"device":"meter","temperature":7}`)
	for _, c := range []struct {
		body, answer string
		status       int
		header       []string
	}{
		{`{"temperature":"hot"}`, `{"error":"expected {\"temperature\": number}"}`, 200, nil},
		{`[1]`, `{"error":"expected {\"temperature\": number}"}`, 200, nil},
		{`{"temperature":`, `"type":"invalid_request"`, 400, nil},
		{`"` + strings.Repeat("x", maxReport) + `"`, `"type":"invalid_request"`, 400, nil},
		{`{"temperature":8}`, ``, 403, []string{"Sec-Fetch-Site", "cross-site"}},
	} {
		if status, answer := report(t, srv, "meter", c.body, c.header...); status != c.status ||
			!strings.Contains(answer, c.answer) {
			t.Errorf("report %.40s = %d %s, want %d %s", c.body, status, answer, c.status, c.answer)
		}
	}
	if !feed.Empty() {
		t.Errorf("the feed got %s", feed.Receive().Data)
	}
}

// Without a handler, and with one that fails, the answer says so and no more.
func TestReportsWithoutHandler(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.lua", answers("x"))
	srv, _ := start(t, config{dir: dir})
	if status, answer := report(t, srv, "x", `1`); status != 404 ||
		!strings.Contains(answer, "not_found") {
		t.Errorf("report = %d %s, want not_found", status, answer)
	}
	write(t, dir, "event_handler/d.lua", "--#EVENT device2 event\nerror('secret')")
	until(t, "the failure", func() bool {
		status, answer := report(t, srv, "x", `1`)
		if strings.Contains(answer, "secret") {
			t.Fatalf("the answer is %s", answer)
		}
		return status == 500
	})
}

// The timer tells those who wait, until nobody does.
func TestAverages(t *testing.T) {
	srv, a := start(t, config{})
	report(t, srv, "one", `{"temperature":10}`)
	report(t, srv, "two", `{"temperature":20}`)
	p, q := srv.Dial(t, "/feed/average"), srv.Dial(t, "/feed/average")
	expect(t, p, `{"average":15,"devices":2}`)
	expect(t, q, `{"average":15,"devices":2}`)
	report(t, srv, "two", `{"temperature":40}`)
	until(
		t,
		"the new average",
		func() bool { return string(p.Receive().Data) == `{"average":25,"devices":2}` },
	)
	if n := a.timers.count(); n != 1 {
		t.Errorf("%d timers, want one for both", n)
	}
	p.Close(1000, "")
	q.Close(1000, "")
	until(t, "no timer", func() bool { return a.timers.count() == 0 })
}

func (t *timers) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byID)
}

func TestTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		type fired struct {
			id string
			at time.Duration
		}
		events := make(chan fired, 100)
		clocks := newTimers()
		clocks.trigger = func(_ context.Context, service, event string, arg any) (any, error) {
			if service != "timer" || event != "timer" {
				t.Errorf("triggered %s %s", service, event)
			}
			events <- fired{arg.(map[string]any)["timer_id"].(string), time.Since(begin)}
			time.Sleep(50 * time.Millisecond) // the handler takes a while
			return nil, errors.New("it failed")
		}
		for _, err := range []error{
			clocks.set(timerArgs{ID: "once", Duration: 300}, false),
			clocks.set(timerArgs{ID: "again", Duration: 1000}, true),
			clocks.set(timerArgs{ID: "never", Duration: 100}, false),
			clocks.stop("never"),
			clocks.set(timerArgs{ID: "replaced", Duration: 100}, false),
			clocks.set(timerArgs{ID: "replaced", Duration: 200}, false),
		} {
			if err != nil {
				t.Error(err)
			}
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		clocks.close()
		close(events)
		want := []fired{
			{"replaced", 200 * time.Millisecond}, {"once", 300 * time.Millisecond},
			{"again", time.Second}, {"again", 2050 * time.Millisecond},
		}
		for i := 0; ; i++ {
			got, ok := <-events
			if !ok {
				if i != len(want) {
					t.Errorf("%d events, want %d", i, len(want))
				}
				break
			}
			if i < len(want) && got != want[i] {
				t.Errorf("event %d = %v, want %v", i, got, want[i])
			}
		}
		for what, err := range map[string]error{
			"closed":   clocks.set(timerArgs{ID: "x"}, false),
			"no id":    clocks.set(timerArgs{}, false),
			"negative": clocks.set(timerArgs{ID: "x", Duration: -1}, false),
			"too long": clocks.set(timerArgs{ID: "x", Duration: 1e300}, false),
			"too fast": clocks.set(timerArgs{ID: "x", Duration: 1}, true),
			"none":     clocks.stop("x"),
		} {
			if err == nil {
				t.Errorf("%s: no error", what)
			}
		}
	})
}

func TestTimersAreBounded(t *testing.T) {
	clocks := newTimers()
	defer clocks.close()
	var err error
	for i := range maxTimers + 1 {
		err = clocks.set(timerArgs{ID: fmt.Sprint(i), Duration: 1e6}, false)
	}
	if !errors.Is(err, gateway.ErrTooLarge) || clocks.count() != maxTimers {
		t.Errorf("%d timers, %v; want %d", clocks.count(), err, maxTimers)
	}
}

// An editor that empties a file before it writes it closes no socket, and a file that
// stays empty removes no route.
func TestEmptiedFileRemovesNothing(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "w.lua", answers("one"))
	write(t, dir, "v.lua", "--#ENDPOINT WEBSOCKET /v\nreturn 1")
	srv, a := start(t, config{dir: dir})
	p := srv.Dial(t, "/w")
	p.Send(gateway.Text("?"))
	expect(t, p, "one")
	write(t, dir, "w.lua", "")
	until(t, "the hesitation", a.deployer.removes)
	write(t, dir, "w.lua", answers("two"))
	untilAnswer(t, p, "two")

	write(t, dir, "w.lua", "-- to be continued\n")
	until(t, "a problem", func() bool { return len(look(t, srv, "").State.Problems) == 1 })
	state := look(t, srv, "").State
	if got := state.Problems[0]; got.File != "w.lua" || got.Line != 1 ||
		!strings.Contains(got.Text, "/w") {
		t.Errorf("problem = %+v", got)
	}
	p.Send(gateway.Text("?"))
	expect(t, p, "two")
	if err := os.Remove(filepath.Join(dir, "w.lua")); err != nil {
		t.Fatal(err)
	}
	if code, _ := p.Closed(); code != 1012 {
		t.Errorf("closed with %d, want 1012", code)
	}
	until(t, "one route", func() bool { return len(look(t, srv, "").State.Routes) == 1 })
}

// What the page shows of a failed edit has its warnings too, and no pipe is opened.
func TestWarningsOfAFailedEdit(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "w.lua", answers("one"))
	srv, _ := start(t, config{dir: dir})
	write(t, dir, "m.lua", "--ENDPOINT WEBSOCKET /m\n")
	write(t, dir, "modules/broken.lua", "x = = 1")
	until(t, "problem and warning", func() bool {
		s := look(t, srv, "").State
		return len(s.Problems) == 1 && len(s.Warnings) == 2 &&
			s.Warnings[0].Code == "--ENDPOINT WEBSOCKET /m"
	})
}

func TestBoundsForThePage(t *testing.T) {
	srv, _ := start(t, config{})
	expect(t, srv.Dial(t, "/chat/a?name=x"), `{"here":["x"],"name":"x","type":"joined"}`)
	until(t, "a run", func() bool {
		for _, s := range look(t, srv, "").Scripts {
			if s.Route == "/chat/{room}" && s.Runs > 0 {
				b := s.Bounds[0]
				return b.Name == "instructions" && b.Most > 10 && b.Limit == 10_000_000
			}
		}
		return false
	})
}
