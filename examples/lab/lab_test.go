package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
)

// serve returns a lab in memory, whose host is "lab".
func serve(t *testing.T) (*lab, *gatewaytest.Server) {
	l := newLab(config{limit: 1 << 20, ping: 5 * time.Second}, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { // after the server's end; the gateway is inside the handler
		if err := l.gw.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown = %v, want nil", err)
		}
	})
	return l, gatewaytest.NewServer(t, l)
}

// ask sends a plain request and returns status and body.
func ask(t *testing.T, srv *gatewaytest.Server, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, "http://lab"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(b))
}

// only returns the id of the one open socket.
func only(t *testing.T, srv *gatewaytest.Server) string {
	t.Helper()
	var ids []string
	_, body := ask(t, srv, "GET", "/ops/list", "")
	if err := json.Unmarshal([]byte(body), &ids); err != nil || len(ids) != 1 {
		t.Fatalf("/ops/list: %s, %v; want one id", body, err)
	}
	return ids[0]
}

func TestRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, srv := serve(t)
		for _, tc := range []struct{ path, send, want string }{
			{"/echo", "hello", "hello"},
			{"/rate", "hello", "hello"},
			{"/rate/drop", "hello", "hello"},
			{"/rate/close", "hello", "hello"},
			{"/sleep", "1500", "1500"},
			{"/hello", "", "welcome"},
		} {
			p := srv.Dial(t, tc.path)
			if tc.send != "" {
				p.Send(gateway.Text(tc.send))
			}
			if got := p.Receive(); got.Type != gateway.MessageText || string(got.Data) != tc.want {
				t.Errorf("%s: %q answered with %v %q, want %q", tc.path, tc.send, got.Type, got.Data, tc.want)
			}
			p.Close(1000, "")
		}
		for _, tc := range []struct {
			path, send, reason string
			code               int
		}{
			{"/verdict", `{"code":4001,"reason":"x"}`, "x", 4001},
			{"/verdict", "no JSON", "endpoint", 1011},
			{"/sleep", "long", "a number of milliseconds, please", 1007},
			{"/panic", "now", "panic", 1011},
		} {
			p := srv.Dial(t, tc.path)
			p.Send(gateway.Text(tc.send))
			if code, reason := p.Closed(); code != tc.code || reason != tc.reason {
				t.Errorf("%s: %q closed with %d %q, want %d %q", tc.path, tc.send, code, reason, tc.code,
					tc.reason)
			}
		}
		p := srv.Dial(t, "/flood")
		for range 100 {
			if got := p.Receive(); got.Type != gateway.MessageBinary || len(got.Data) != 4096 {
				t.Fatalf("/flood sent %v of %d bytes, want data-binary of 4096", got.Type, len(got.Data))
			}
		}
	})
}

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, srv := serve(t)
		const sent = 12
		received := func(p *gatewaytest.Peer) (n int) {
			synctest.Wait()
			for ; !p.Empty(); n++ {
				p.Receive()
			}
			return n
		}
		for path, want := range map[string]int{"/rate/drop": 5, "/rate": 5, "/echo": sent} {
			p := srv.Dial(t, path)
			for range sent {
				p.Send(gateway.Text("x"))
			}
			if got := received(p); got != want {
				t.Errorf("%s: %d of %d at once, want %d", path, got, sent, want)
			}
			if path == "/rate" {
				time.Sleep((sent-5)*time.Second/5 + time.Millisecond)
				if got := received(p); got != sent-5 {
					t.Errorf("%s: %d later, want %d: a delay loses nothing", path, got, sent-5)
				}
			}
			p.Close(1000, "")
		}
		p := srv.Dial(t, "/rate/close")
		for range 5 + 1 { // one more could find the connection closed already
			p.Send(gateway.Text("x"))
		}
		if code, reason := p.Closed(); code != 1008 || reason != "rate_limited" {
			t.Errorf("/rate/close: %d %q, want 1008 rate_limited", code, reason)
		}
	})
}

func TestInfoShowsEverything(t *testing.T) {
	_, srv := serve(t)
	req, err := http.NewRequest("GET", "http://lab/info/7?x=8&a=1&a=2", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", "secret=1")
	req.Header.Set("Sec-WebSocket-Protocol", "lab.v1")
	p, resp := srv.DialRequest(t, req)
	if p == nil {
		t.Fatal(resp.Status)
	}
	p.Send(gateway.Text("ping"))
	var got map[string]any
	if err := json.Unmarshal(p.Receive().Data, &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"type": "data", "message": "ping", "message_type": "data-text", "route": "/info/{x}",
		"uri": "ws://lab/info/7?x=8&a=1&a=2", "subprotocol": "lab.v1", "parameters": "map[a:[1 2] x:7]",
	} {
		if fmt.Sprint(got[name]) != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	headers, _ := got["headers"].(map[string]any)
	if headers["cookie"] != "secret=1" || headers["host"] != "lab" {
		t.Errorf("headers: %v, want the cookie and the host", headers)
	}
	_, body := ask(t, srv, "GET", "/ops/info?id="+only(t, srv), "")
	if strings.Contains(body, "secret=1") || !strings.Contains(body, `"cookie":""`) {
		t.Errorf("/ops/info shows %s, want the cookie redacted", body)
	}
}

func TestOperations(t *testing.T) {
	_, srv := serve(t)
	if status, body := ask(t, srv, "GET", "/ops/list", ""); status != 200 || body != "[]" {
		t.Errorf("/ops/list without sockets: %d %s", status, body)
	}
	p := srv.Dial(t, "/echo")
	id := only(t, srv)
	for _, tc := range []struct {
		method, path, body string
		status             int
		want               string // of the body: all of it, or the type of the error
	}{
		{"POST", "/ops/send?id=" + id, "text", 204, ""},
		{"POST", "/ops/send?id=" + id + "&type=data-binary", "AP8=", 204, ""},
		{"POST", "/ops/send?id=" + id + "&type=data-binary", "AP8", 400, "invalid_request"},
		{"POST", "/ops/send?id=" + id + "&type=other", "x", 400, "invalid_request"},
		{"POST", "/ops/send?id=" + id, "\xff", 400, "invalid_request"},
		{"POST", "/ops/send?id=" + id, strings.Repeat("x", 1<<20+1), 413, "too_large"},
		{"POST", "/ops/send", "x", 400, "invalid_request"},
		{"POST", "/ops/send?id=nobody", "x", 404, "not_found"},
		{"POST", "/ops/send?id=" + id, strings.Repeat("x", 32<<20+1), 413, "too_large"},
		{"GET", "/ops/info", "", 400, "invalid_request"},
		{"POST", "/ops/close", "", 400, "invalid_request"},
		{"GET", "/events", "", 400, "invalid_request"},
		{"GET", "/ops/send?id=" + id, "", 405, "method_not_allowed"},
		{"POST", "/ops/list", "", 405, "method_not_allowed"},
		{"POST", "/stats", "", 405, "method_not_allowed"},
		{"GET", "/ops/info?id=nobody", "", 404, "not_found"},
		{"GET", "/events?id=nobody", "", 404, "not_found"},
		{"POST", "/ops/close?id=nobody", "", 404, "not_found"},
		{"POST", "/ops/closeAll", "", 200, "1"},
		{"POST", "/ops/closeAll", "", 200, "0"},
	} {
		status, body := ask(t, srv, tc.method, tc.path, tc.body)
		if status >= 400 {
			var e gateway.Error
			if err := json.Unmarshal([]byte(body), &e); err != nil || e.Status != status {
				t.Errorf("%s: %d with the body %s, %v", tc.path, status, body, err)
			}
			body = e.Type
		}
		if status != tc.status || body != tc.want {
			t.Errorf("%s %s: %d %q, want %d %q", tc.method, tc.path, status, body, tc.status, tc.want)
		}
	}
	if got := p.Receive(); string(got.Data) != "text" || got.Type != gateway.MessageText {
		t.Errorf("received %v", got)
	}
	if got := p.Receive(); !bytes.Equal(got.Data, []byte{0, 255}) ||
		got.Type != gateway.MessageBinary {
		t.Errorf("received %v", got)
	}
	if code, reason := p.Closed(); code != 1000 || reason != "operation" {
		t.Errorf("closed with %d %q", code, reason)
	}
}

// A socket that is closing is no longer listed, still has its info, and takes
// nothing more; one that has closed is nobody.
func TestOperationsOnAClosingSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, srv := serve(t)
		p := srv.Dial(t, "/echo")
		id := only(t, srv)
		p.Stall() // and does not answer the close frame
		check := func(method, path string, status int, want string) {
			t.Helper()
			if got, body := ask(t, srv, method, path, ""); got != status || !strings.Contains(body, want) {
				t.Errorf("%s %s: %d %s, want %d with %s", method, path, got, body, status, want)
			}
		}
		check("POST", "/ops/close?id="+id, 204, "")
		check("GET", "/ops/list", 200, "[]")
		check("GET", "/ops/info?id="+id, 200, `"type":"close"`)
		check("POST", "/ops/send?id="+id, 410, `{"type":"closed",`)
		check("POST", "/ops/close?id="+id, 410, `{"type":"closed",`)
		check("POST", "/ops/closeAll", 200, "0")
		p.Resume()
		if code, _ := p.Closed(); code != 1000 {
			t.Errorf("closed with %d, want 1000", code)
		}
		synctest.Wait()
		check("GET", "/ops/info?id="+id, 404, `{"type":"not_found",`)
		check("POST", "/ops/send?id="+id, 404, `{"type":"not_found",`)
		check("GET", "/events?id="+id, 200,
			`"close_code":1000,"close_reason":"operation","close_cause":"operation"}]`)
	})
}

// A client that does not read fills its queue, and then gets no more.
func TestSendToAFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, srv := serve(t)
		p := srv.Dial(t, "/echo")
		id := only(t, srv)
		p.Stall()
		for n := range 300 {
			status, body := ask(t, srv, "POST", "/ops/send?id="+id, strings.Repeat("x", 10_000))
			if status == 204 {
				continue
			}
			if n < 100 || status != 429 || !strings.Contains(body, `"queue_full"`) {
				t.Errorf("message %d: %d %s, want 429 queue_full after more than 100", n, status, body)
			}
			return
		}
		t.Error("3 MB are queued for a client that does not read")
	})
}

// A WebSocket client follows no redirect: what ServeMux would correct is no route.
func TestNoRedirects(t *testing.T) {
	_, srv := serve(t)
	for _, path := range []string{"//echo", "/./echo", "/x/../echo", "/echo/", "/nothing"} {
		r, err := http.NewRequest("GET", "http://lab", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Path = path
		p, resp := srv.DialRequest(t, r)
		if p != nil {
			t.Errorf("%s: opened", path)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 404 || !strings.Contains(string(body), `"no_route"`) {
			t.Errorf("%s: %d %s, %v; want 404 no_route", path, resp.StatusCode, body, err)
		}
	}
}

func TestEventsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, srv := serve(t)
		for reason, ms := "enough", time.Now().UnixMilli(); ; reason = "" {
			p := srv.Dial(t, "/echo")
			id := only(t, srv)
			p.Send(gateway.Text("a"))
			p.Receive()
			p.Send(gateway.Binary([]byte("b")))
			p.Receive()
			p.Close(4001, reason)
			synctest.Wait()
			want := fmt.Sprintf(`[{"type":"open","timestamp":%d},`+
				`{"type":"data","message_type":"data-text","timestamp":%[1]d},`+
				`{"type":"data","message_type":"data-binary","timestamp":%[1]d},`+
				`{"type":"close","timestamp":%[1]d,"close_code":4001,"close_reason":%q,`+
				`"close_cause":"client"}]`,
				ms, reason)
			if _, got := ask(t, srv, "GET", "/events?id="+id, ""); got != want {
				t.Errorf("events\n%s, want\n%s", got, want)
			}
			if reason == "" {
				return
			}
		}
	})
}

func TestJournalIsBounded(t *testing.T) {
	j := newJournal()
	for i := range keepSockets + 5 {
		id := fmt.Sprint(i)
		j.add(id, gateway.Event{Type: gateway.EventOpen})
		j.add(id, gateway.Event{Type: gateway.EventClose})
	}
	if _, ok := j.of("4"); ok {
		t.Error("the oldest closed sockets are kept")
	}
	if _, ok := j.of("5"); !ok || len(j.sockets) != keepSockets {
		t.Errorf("%d sockets are kept, want the latest %d", len(j.sockets), keepSockets)
	}
	j.add("busy", gateway.Event{Type: gateway.EventOpen})
	for range 3 * keepEvents {
		j.add("busy", gateway.Event{Type: gateway.EventData, Message: gateway.Text("x")})
	}
	j.add("busy", gateway.Event{Type: gateway.EventClose})
	events, _ := j.of("busy")
	if n := len(events); n > keepEvents || events[0].Type != "open" || events[n-1].Type != "close" {
		t.Errorf("%d events from %s to %s, want at most %d from open to close", n, events[0].Type,
			events[n-1].Type, keepEvents)
	}
}

func TestStats(t *testing.T) {
	_, srv := serve(t)
	srv.Dial(t, "/echo")
	_, body := ask(t, srv, "GET", "/stats?gc=1", "")
	var got figures
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Conns != 1 || got.Goroutines < 2 || got.PID == 0 || got.Mallocs == 0 {
		t.Errorf("stats: %+v", got)
	}
}

func TestHealthAndShutdown(t *testing.T) {
	l, srv := serve(t)
	const health = "/api/v1/solution/health"
	if status, body := ask(t, srv, "GET", health, ""); status != 200 || body != "OK" {
		t.Errorf("health: %d %s", status, body)
	}
	p := srv.Dial(t, "/echo")
	if err := l.gw.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if code, _ := p.Closed(); code != 1001 {
		t.Errorf("closed with %d, want 1001", code)
	}
	if status, _ := ask(t, srv, "GET", health, ""); status != 503 {
		t.Errorf("health after the shutdown: %d, want 503", status)
	}
	if opened, closed := l.journal.counts(); opened != 1 || closed != 1 {
		t.Errorf("%d open and %d close events, want 1 and 1", opened, closed)
	}
}

// run is the whole program, but for its flags and its signal.
func TestRun(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, config{addr: "127.0.0.1:0", limit: 1 << 20, logFile: t.TempDir() + "/log"}, w)
		w.Close()
	}()
	var addr string
	if _, err := fmt.Fscanf(r, "lab: listening on %s\n", &addr); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get("http://" + addr + "/ops/list")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	stop()
	rest, err := io.ReadAll(r)
	if err != nil || string(rest) != "lab: 0 open events, 0 close events\n" {
		t.Errorf("last words %q, %v", rest, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
