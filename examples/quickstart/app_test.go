package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// start serves the whole app in memory, with its middleware.
func start(t *testing.T) (*gatewaytest.Server, *gateway.Handler) {
	app, gw := newApp()
	srv := gatewaytest.NewServer(t, app)
	t.Cleanup(func() {
		if err := gw.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return srv, gw
}

// ask makes a request and returns the answer with its whole body.
func ask(t *testing.T, srv *gatewaytest.Server, method, path,
	body string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, "http://app.example"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := srv.Client().Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp, string(b)
}

// only returns the id of the one socket that is open.
func only(t *testing.T, gw *gateway.Handler) string {
	t.Helper()
	ids, err := gw.List(t.Context())
	if err != nil || len(ids) != 1 {
		t.Fatalf("List() = %q, %v, want one id", ids, err)
	}
	return ids[0]
}

func receive(t *testing.T, p *gatewaytest.Peer, typ, from, text string) notice {
	t.Helper()
	var n notice
	m := p.Receive()
	if err := json.Unmarshal(m.Data, &n); err != nil {
		t.Fatalf("received %q: %v", m.Data, err)
	}
	if n.Type != typ || n.From != from || n.Text != text {
		t.Errorf("received %s, want type %q from %q with text %q", m.Data, typ, from, text)
	}
	return n
}

func TestEcho(t *testing.T) {
	srv, _ := start(t)
	p := srv.Dial(t, "/echo")
	for _, want := range []gateway.Message{gateway.Text("a"), gateway.Binary([]byte{0, 255})} {
		p.Send(want)
		if got := p.Receive(); got.Type != want.Type || string(got.Data) != string(want.Data) {
			t.Errorf("echo of %v is %v", want, got)
		}
	}
}

func TestRooms(t *testing.T) {
	srv, _ := start(t)
	ada := srv.Dial(t, "/rooms/lobby?name=Ada")
	id := receive(t, ada, "welcome", "Ada", "").SocketID
	receive(t, ada, "joined", "Ada", "")
	other := srv.Dial(t, "/rooms/other?name=Alan")
	receive(t, other, "welcome", "Alan", "")
	receive(t, other, "joined", "Alan", "")
	grace := srv.Dial(t, "/rooms/lobby?name=Grace&room=other") // the path wins
	receive(t, grace, "welcome", "Grace", "")
	receive(t, grace, "joined", "Grace", "")
	receive(t, ada, "joined", "Grace", "")

	ada.Send(gateway.Text(`"hello"`))
	receive(t, ada, "said", "Ada", `"hello"`)
	if n := receive(t, grace, "said", "Ada", `"hello"`); n.SocketID != id || n.Room != "lobby" {
		t.Errorf("said by socket %q in %q, want %q in lobby", n.SocketID, n.Room, id)
	}
	ada.Close(1000, "bye")
	receive(t, grace, "left", "Ada", "")
	grace.Send(gateway.Binary([]byte{1}))
	if code, reason := grace.Closed(); code != 1003 || reason != "rooms are for text" {
		t.Errorf("closed with %d %q, want 1003", code, reason)
	}
	if !other.Empty() {
		t.Errorf("the other room received %q", other.Receive().Data)
	}
}

func TestRoomsRefuse(t *testing.T) {
	srv, gw := start(t)
	for _, path := range []string{
		"/rooms/lobby", "/rooms/lobby?name=", "/rooms/lobby?name=" + strings.Repeat("x", 41),
		"/rooms/" + strings.Repeat("x", 41) + "?name=Ada",
	} {
		r, err := http.NewRequest("GET", "http://app.example"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, resp := srv.DialRequest(t, r); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: status %d, want 400", path, resp.StatusCode)
		}
	}
	if ids, err := gw.List(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("List() = %q, %v, want none", ids, err)
	}
}

func TestOperations(t *testing.T) {
	srv, gw := start(t)
	p := srv.Dial(t, "/echo?tab=x")
	p.Send(gateway.Text("a"))
	p.Receive()
	path := "/api/sockets/" + only(t, gw)

	var listed struct {
		Total   int
		Sockets []gateway.Info
	}
	_, body := ask(t, srv, "GET", "/api/sockets", "")
	if err := json.Unmarshal([]byte(body), &listed); err != nil || listed.Total != 1 ||
		len(listed.Sockets) != 1 {
		t.Fatalf("list = %s (%v), want one socket", body, err)
	}
	if info := listed.Sockets[0]; info.Route != "/echo" || info.Parameters.Get("tab") != "x" ||
		string(info.Last.Message.Data) != "a" {
		t.Errorf("list = %s, want route /echo, parameter tab, message a", body)
	}
	var info gateway.Info
	resp, body := ask(t, srv, "GET", path, "")
	if err := json.Unmarshal([]byte(body), &info); err != nil || resp.StatusCode != 200 ||
		info.SocketID != only(t, gw) {
		t.Errorf("info = %d %s (%v)", resp.StatusCode, body, err)
	}
	for body, want := range map[string]gateway.Message{
		`{"message":"hello"}`:                         gateway.Text("hello"),
		`{"message":""}`:                              gateway.Text(""),
		`{"message":"\ud83d\ude00 \\ud800 \ufffd"}`:   gateway.Text("\U0001F600 \\ud800 \uFFFD"),
		`{"message":"3q2+7w==","type":"data-binary"}`: gateway.Binary([]byte{0xde, 0xad, 0xbe, 0xef}),
	} {
		if resp, answer := ask(t, srv, "POST", path+"/send", body); resp.StatusCode != 204 ||
			answer != "" {
			t.Fatalf("send %s = %d %s, want 204", body, resp.StatusCode, answer)
		}
		if got := p.Receive(); got.Type != want.Type || string(got.Data) != string(want.Data) {
			t.Errorf("send %s arrives as %v, want %v", body, got, want)
		}
	}
	if resp, body := ask(t, srv, "DELETE", path, ""); resp.StatusCode != 204 || body != "" {
		t.Errorf("close = %d %s, want 204", resp.StatusCode, body)
	}
	if code, _ := p.Closed(); code != 1000 {
		t.Errorf("closed with %d, want 1000", code)
	}
	peers := []*gatewaytest.Peer{srv.Dial(t, "/echo"), srv.Dial(t, "/rooms/a?name=Ada")}
	if resp, body := ask(t, srv, "DELETE", "/api/sockets", ""); resp.StatusCode != 200 ||
		body != "2\n" {
		t.Errorf("closeAll = %d %s, want 200 and 2", resp.StatusCode, body)
	}
	for _, p := range peers {
		if code, _ := p.Closed(); code != 1000 {
			t.Errorf("closed with %d, want 1000", code)
		}
	}
}

func TestErrors(t *testing.T) {
	srv, gw := start(t)
	srv.Dial(t, "/echo")
	path := "/api/sockets/" + only(t, gw)
	for _, test := range []struct {
		method, path, body string
		status             int
		typ                string
	}{
		{"GET", "/api/sockets/nobody", "", 404, "not_found"},
		{"DELETE", "/api/sockets/nobody", "", 404, "not_found"},
		{"POST", "/api/sockets/nobody/send", `{"message":"a"}`, 404, "not_found"},
		{"POST", path + "/send", ``, 400, "invalid_request"},
		{"POST", path + "/send", `{"message":1}`, 400, "invalid_request"},
		{"POST", path + "/send", `{"msg":"typo"}`, 400, "invalid_request"},
		{"POST", path + "/send", `{"message":"a","kind":"data-text"}`, 400, "invalid_request"},
		{"POST", path + "/send", `null`, 400, "invalid_request"},
		{"POST", path + "/send", `{}`, 400, "invalid_request"},
		{"POST", path + "/send", `[]`, 400, "invalid_request"},
		{"POST", path + "/send", `{"message":null}`, 400, "invalid_request"},
		{"POST", path + "/send", `{"message":"a"}}`, 400, "invalid_request"},
		{"POST", path + "/send", `{"message":"a"} {}`, 400, "invalid_request"},
		{"POST", path + "/send", "{\"message\":\"\xff\"}", 400, "invalid_request"},
		{"POST", path + "/send", `{"message":"\ud800"}`, 400, "invalid_request"},
		{"POST", path + "/send", `{"message":"\udc00\ud800"}`, 400, "invalid_request"},
		{"POST", path + "/send", `{"message":"\ud83dx"}`, 400, "invalid_request"},
		{"POST", path + "/send", `{"message":"a","type":"data-picture"}`, 400, "invalid_request"},
		{"POST", path + "/send", `{"message":"%","type":"data-binary"}`, 400, "invalid_request"},
		{"POST", path + "/send", `{"message":"` + strings.Repeat("x", 2<<20) + `"}`, 413, "too_large"},
		{"GET", "/echo", "", 426, "upgrade_required"},
		{"GET", "/rooms/a/b", "", 404, "no_route"},
	} {
		resp, body := ask(t, srv, test.method, test.path, test.body)
		var got map[string]any
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Errorf("%s %s: %q: %v", test.method, test.path, body, err)
			continue
		}
		if resp.StatusCode != test.status || len(got) != 3 || got["type"] != test.typ ||
			got["status"] != float64(test.status) {
			t.Errorf("%s %s = %d %s, want %d %s", test.method, test.path, resp.StatusCode, body, test.status,
				test.typ)
		}
	}
}

// The server stops reading such a body: over a connection the client may see that
// before it sees the answer.
func TestHugeBody(t *testing.T) {
	w := httptest.NewRecorder()
	body := strings.NewReader(`{"message":"` + strings.Repeat("x", maxBody) + `"}`)
	operations(gateway.New(nil)).ServeHTTP(w,
		httptest.NewRequest("POST", "/api/sockets/nobody/send", body))
	if w.Code != http.StatusRequestEntityTooLarge ||
		!strings.Contains(w.Body.String(), `"too_large"`) {
		t.Errorf("a body above the limit = %d %s, want 413 too_large", w.Code, w.Body)
	}
}

func TestForeignPageIsRefused(t *testing.T) {
	srv, gw := start(t)
	srv.Dial(t, "/echo")
	r, err := http.NewRequest("DELETE", "http://app.example/api/sockets", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://evil.example")
	resp, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("closeAll from another origin = %d, want 403", resp.StatusCode)
	}
	only(t, gw)
}

func TestPagesAndHealth(t *testing.T) {
	srv, gw := start(t)
	for path, part := range map[string]string{"/": "<title>gateway quickstart</title>",
		"/main.js": "start()", "/style.css": ":root", "/icon.svg": "<svg"} {
		resp, body := ask(t, srv, "GET", path, "")
		if resp.StatusCode != 200 || !strings.Contains(body, part) {
			t.Errorf("GET %s = %d without %q", path, resp.StatusCode, part)
		}
		if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp,
			"default-src 'none'") {
			t.Errorf("GET %s: Content-Security-Policy %q", path, csp)
		}
	}
	const health = "/api/v1/solution/health"
	if resp, body := ask(t, srv, "GET", health, ""); resp.StatusCode != 200 || body != "OK" {
		t.Errorf("health = %d %q, want 200 OK", resp.StatusCode, body)
	}
	if err := gw.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if resp, _ := ask(t, srv, "GET", health, ""); resp.StatusCode != 503 {
		t.Errorf("health after Shutdown = %d, want 503", resp.StatusCode)
	}
}
