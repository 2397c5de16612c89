package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// start serves an app in memory.
func start(t *testing.T, cfg config) (*gatewaytest.Server, *app) {
	t.Helper()
	a := newApp(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	wait, err := a.start(ctx)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		wait()
		if err := a.shutdown(0); err != nil {
			t.Error(err)
		}
	})
	return gatewaytest.NewServer(t, a), a
}

// ask makes a GET request and returns the answer with its whole body.
func ask(t *testing.T, srv *gatewaytest.Server, path string) (*http.Response, string) {
	t.Helper()
	resp, err := srv.Client().Get("http://app.example" + path)
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	return resp, string(b)
}

// look returns what the page would see.
func look(t *testing.T, srv *gatewaytest.Server, query string) view {
	t.Helper()
	_, body := ask(t, srv, "/api/scripts"+query)
	var v view
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("/api/scripts = %q: %v", body, err)
	}
	return v
}

// expect receives the texts.
func expect(t *testing.T, p *gatewaytest.Peer, want ...string) {
	t.Helper()
	for _, text := range want {
		if got := string(p.Receive().Data); got != text {
			t.Fatalf("received %s, want %s", got, text)
		}
	}
}

func TestChat(t *testing.T) {
	srv, _ := start(t, config{})
	ada := srv.Dial(t, "/chat/lobby?name=Ada")
	expect(t, ada, `{"here":["Ada"],"name":"Ada","type":"joined"}`)
	other := srv.Dial(t, "/chat/other?name=Alan")
	expect(t, other, `{"here":["Alan"],"name":"Alan","type":"joined"}`)
	nobody := srv.Dial(t, "/chat/lobby?name=a&name=b")
	const both = `"here":["Ada","somebody"]`
	expect(t, ada, `{`+both+`,"name":"somebody","type":"joined"}`)
	expect(t, nobody, `{`+both+`,"name":"somebody","type":"joined"}`)

	ada.Send(gateway.Text(`"hello"`))
	const said = `{` + both + `,"name":"Ada","text":"\"hello\"","type":"said"}`
	expect(t, ada, said)
	expect(t, nobody, said)
	const refusal = `{"error":"rooms are for text, up to 500 bytes","type":"refused"}`
	for _, m := range []gateway.Message{gateway.Binary([]byte{1}),
		gateway.Text(strings.Repeat("x", 501))} {
		ada.Send(m)
		expect(t, ada, refusal)
	}
	nobody.Close(1000, "bye")
	expect(t, ada, `{"here":["Ada"],"name":"somebody","type":"left"}`)
	if !other.Empty() {
		t.Errorf("the other room received %q", other.Receive().Data)
	}
}

func TestDevices(t *testing.T) {
	srv, _ := start(t, config{})
	feed := srv.Dial(t, "/feed")
	until(t, "the feed follows", func() bool { // before there is a report that it could hear of twice
		return slices.ContainsFunc(look(t, srv, "").Scripts,
			func(s script) bool { return s.Route == "/feed" && s.Runs == 1 })
	})
	boiler := srv.Dial(t, "/devices/boiler")
	boiler.Send(gateway.Text(`{"temperature":21.5}`))
	expect(t, boiler, `{"reports":1}`)
	expect(t, feed, `{"device":"boiler","temperature":21.5}`)
	for _, text := range []string{"not JSON", `{"temperature":"hot"}`, `[]`} {
		boiler.Send(gateway.Text(text))
		expect(t, boiler, `{"error":"expected {\"temperature\": number}"}`)
	}
	boiler.Send(gateway.Text(`{"temperature":-3}`))
	expect(t, boiler, `{"reports":2}`)
	expect(t, feed, `{"device":"boiler","temperature":-3}`)

	late := srv.Dial(t, "/feed")
	expect(t, late, `{"device":"boiler","temperature":-3}`) // what it missed
	boiler.Close(1000, "")
	expect(t, feed, `{"device":"boiler","gone":true}`)
	expect(t, late, `{"device":"boiler","gone":true}`)
}

func TestBytes(t *testing.T) {
	for _, handlerStatus := range []bool{false, true} {
		srv, _ := start(t, config{handlerStatus: handlerStatus})
		p := srv.Dial(t, "/bytes")
		for n := range 7 { // every form of padding
			data := []byte{255, 0, 1, 128, 7, 9, 10}[:n]
			sum, turned := 0, []byte{}
			for _, b := range data {
				sum += int(b)
				turned = append([]byte{b}, turned...)
			}
			p.Send(gateway.Binary(data))
			want, err := json.Marshal(map[string]any{"bytes": n, "sum": sum % 256, "text": false})
			if err != nil {
				t.Fatal(err)
			}
			expect(t, p, string(want))
			if m := p.Receive(); m.Type != gateway.MessageBinary || !bytes.Equal(m.Data, turned) {
				t.Errorf("%v came back as %v, want %v", data, m, turned)
			}
		}
		p.Send(gateway.Text("ab"))
		expect(t, p, `{"bytes":2,"sum":195,"text":true}`)
	}
}

func TestHandlerStatus(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.lua",
		"--#ENDPOINT WEBSOCKET /s\nif websocketInfo.type == 'open' then return "+
			"tostring(Websocket.send{socket_id = websocketInfo.socket_id, message = 'x'}):sub(1, 5) end")
	for handlerStatus, want := range map[bool]string{false: "nil", true: "table"} {
		srv, _ := start(t, config{dir: dir, handlerStatus: handlerStatus})
		expect(t, srv.Dial(t, "/s"), "x", want)
	}
}

func TestPageAndHealth(t *testing.T) {
	srv, a := start(t, config{})
	for path, part := range map[string]string{"/": "<title>gateway scripts</title>",
		"/main.js": "refresh()", "/style.css": ":root", "/icon.svg": "<svg"} {
		resp, body := ask(t, srv, path)
		if resp.StatusCode != 200 || !strings.Contains(body, part) {
			t.Errorf("GET %s = %d without %q", path, resp.StatusCode, part)
		}
		if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp,
			"default-src 'none'") {
			t.Errorf("GET %s: Content-Security-Policy %q", path, csp)
		}
	}
	for path, want := range map[string]int{"/feed": 426, "/nowhere": 404} {
		resp, body := ask(t, srv, path)
		var object gateway.Error
		if err := json.Unmarshal([]byte(body), &object); err != nil || resp.StatusCode != want ||
			object.Status != want {
			t.Errorf("GET %s = %d %s, want %d and an error object", path, resp.StatusCode, body, want)
		}
	}
	const health = "/api/v1/solution/health"
	if resp, body := ask(t, srv, health); resp.StatusCode != 200 || body != "OK" {
		t.Errorf("health = %d %q, want 200 OK", resp.StatusCode, body)
	}
	if err := a.gw.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if resp, _ := ask(t, srv, health); resp.StatusCode != 503 {
		t.Errorf("health after Shutdown = %d, want 503", resp.StatusCode)
	}
}

// A solution may have routes where the page and its files are.
func TestRouteAtTheRoot(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.lua", "--#ENDPOINT WEBSOCKET /\nreturn websocketInfo.route")
	srv, _ := start(t, config{dir: dir})
	expect(t, srv.Dial(t, "/"), "/")
	if resp, body := ask(t, srv, "/"); resp.StatusCode != 200 || !strings.Contains(body, "<title>") {
		t.Errorf("GET / = %d, want the page", resp.StatusCode)
	}
}

func TestStateForThePage(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "endpoints/a.lua",
		"--#ENDPOINT WEBSOCKET /a\nif websocketInfo.type == 'open' then\nprint('hi', "+
			"1)\nlog.debug('quiet')\nerror('boom')\nend\n"+
			"--#ENDPOINT GET /b\nreturn 1")
	write(t, dir, "modules/m.lua", "x = 1")
	srv, _ := start(t, config{dir: dir})
	p := srv.Dial(t, "/a")
	p.Send(gateway.Text("x"))
	p.Close(1000, "")
	p.Closed()
	until(t, "three runs",
		func() bool { v := look(t, srv, ""); return len(v.Scripts) == 1 && v.Scripts[0].Runs == 3 })

	v := look(t, srv, "")
	if s := v.Scripts[0]; s.File != "endpoints/a.lua" || s.Route != "/a" || s.Errors != 1 ||
		s.Micros <= 0 {
		t.Errorf("script = %+v", s)
	}
	if s := v.State; s.Source != dir || s.Deployed == 0 || len(s.Routes) != 1 || len(s.Modules) != 1 ||
		len(s.Problems) != 0 {
		t.Errorf("state = %+v", s)
	}
	if w := v.State.Warnings; len(w) != 1 || w[0].Line != 7 || w[0].Code != "--#ENDPOINT GET /b" {
		t.Errorf("warnings = %+v, want one at line 7", w)
	}
	if len(v.Log) != 3 {
		t.Fatalf("log = %+v, want three entries", v.Log)
	}
	for i, want := range []entry{
		{Number: 1, Level: "info", Text: "hi\t1", Route: "/a", Script: "endpoints/a.lua", Line: 3},
		{Number: 2, Level: "debug", Text: "quiet", Route: "/a", Script: "endpoints/a.lua", Line: 4},
	} {
		got := v.Log[i]
		got.Time = 0
		if got != want {
			t.Errorf("log[%d] = %+v, want %+v", i, got, want)
		}
	}
	if e := v.Log[2]; e.Level != "error" || !strings.HasPrefix(e.Detail, "endpoints/a.lua:5: boom") {
		t.Errorf("log[2] = %+v, want the failure at line 5", e)
	}
	if rest := look(t, srv, "?after=2").Log; len(rest) != 1 || rest[0].Number != 3 {
		t.Errorf("log after 2 = %+v, want number 3", rest)
	}
	if rest := look(t, srv, "?after=99").Log; len(rest) != 3 {
		t.Errorf("log after a number of another process = %+v, want all", rest)
	}
}

func TestLogbookIsBounded(t *testing.T) {
	b := newLogbook(slog.DiscardHandler)
	logger := slog.New(b)
	for range maxEntries + 50 {
		logger.Info(strings.Repeat("ä", maxText))
	}
	all := b.after(0)
	if len(all) != maxEntries || all[0].Number != 51 || all[maxEntries-1].Number != maxEntries+50 {
		t.Errorf("%d entries from %d on, want %d from 51 on", len(all), all[0].Number, maxEntries)
	}
	if n := len(all[0].Text); n > maxText+10 {
		t.Errorf("a text of %d bytes is kept, want it cut at %d", n, maxText)
	}
}

// write writes a file of a solution.
func write(t *testing.T, dir, file, text string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(file))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
