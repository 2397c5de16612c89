package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
)

// The flat JSON object, in every state of a socket.
func TestInfoJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := gateway.New(&gateway.Options{
			Logger: slog.New(slog.DiscardHandler), RedactHeaders: []string{"x-api-key"}, Limits: unlimited,
			Authorize: func(*http.Request) (*gateway.Admission, error) {
				return &gateway.Admission{Values: map[string]string{"user": "ann"}, Groups: []string{"b", "a"}},
					nil
			},
		})
		r := &recorder{}
		gw.HandleRoute(gateway.Route{Pattern: "/rooms/{id}/{rest...}", Endpoint: r,
			Subprotocols: []string{"v1"}})
		p := rawDial(t, serve(t, gw), "/rooms/a%2Fb/c/d?id=fake&x=1&x=2&y=%C3%BC+z&empty=",
			"Cookie: a=1", "Cookie: b=2", "Accept: x", "Accept: y", "Authorization: Bearer t",
			"Proxy-Authorization: p", "X-Api-Key: k",
			"Sec-WebSocket-Protocol: v1", "")
		synctest.Wait()
		s, opened := r.socket(), time.Now()
		want := map[string]any{
			"socket_id": s.ID(), "server_ip": s.ID()[:10], "type": "open", "route": "/rooms/{id}/{rest...}",
			"uri": "ws://gateway.test/rooms/a%2Fb/c/d?id=fake&x=1&x=2&y=%C3%BC+z&empty=",
			"headers": map[string]any{"host": "gateway.test", "cookie": "a=1; b=2", "accept": "x, y",
				"authorization":       "Bearer t",
				"proxy-authorization": "p", "x-api-key": "k", "upgrade": "websocket", "connection": "Upgrade",
				"sec-websocket-version": "13", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
				"sec-websocket-protocol": "v1"},
			"parameters": map[string]any{"id": "a/b", "rest": "c/d", "x": []any{"1", "2"}, "y": "ü z",
				"empty": ""},
			"timestamp": float64(opened.UnixMilli()), "opened": float64(opened.UnixMilli()),
			"subprotocol": "v1",
			"values":      map[string]any{"user": "ann"}, "groups": []any{"a", "b"},
		}
		check := func(when string) {
			t.Helper()
			got := unmarshal(t, must(s.Info().JSONWithCredentials()))
			if addr, _ := got["remote_addr"].(string); !strings.HasPrefix(addr, "192.0.2.1:") {
				t.Errorf("%s, remote_addr = %q, want the client's", when, addr)
			}
			delete(got, "remote_addr")
			wantJSON(t, when+", JSONWithCredentials", got, want)

			redacted := maps.Clone(want)
			headers := maps.Clone(want["headers"].(map[string]any))
			for _, name := range []string{"authorization", "cookie", "proxy-authorization", "x-api-key"} {
				headers[name] = ""
			}
			redacted["headers"] = headers
			info, err := gw.Info(t.Context(), s.ID())
			if err != nil {
				t.Fatalf("%s, Info = %v", when, err)
			}
			for call, got := range map[string]map[string]any{
				"json.Marshal(Socket.Info())":  unmarshal(t, must(json.Marshal(s.Info()))),
				"Handler.Info with everything": unmarshal(t, must(info.JSONWithCredentials())),
			} {
				delete(got, "remote_addr")
				wantJSON(t, when+", "+call, got, redacted)
			}
		}
		check("after open")
		time.Sleep(time.Second)
		p.write(masked(0x81, "hällo"))
		synctest.Wait()
		want["type"], want["message"], want["message_type"] = "data", "hällo", "data-text"
		want["timestamp"] = float64(time.Now().UnixMilli())
		check("after a text")
		p.write(masked(0x82, "\x00\xff"))
		synctest.Wait()
		want["message"], want["message_type"] = "AP8=", "data-binary"
		check("after a binary")
		p.write(masked(0x82, ""))
		synctest.Wait()
		want["message"] = ""
		check("after an empty one")
		p.write(masked(0x81, strings.Repeat("x", 5000)))
		synctest.Wait()
		delete(want, "message")
		want["message_type"], want["message_size"] = "data-text", 5000.0
		check("after a long one")
		for _, name := range []string{"message_type", "message_size"} {
			delete(want, name)
		}
		time.Sleep(time.Second)
		if err := s.CloseWith(4000, "bye"); err != nil {
			t.Fatalf("CloseWith = %v", err)
		}
		want["type"], want["close_code"], want["close_reason"], want["close_cause"] = "close", 4000.0, "bye", "operation"
		want["timestamp"] = float64(time.Now().UnixMilli())
		check("closing")
	})
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func unmarshal(t *testing.T, b []byte) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatalf("the info is not JSON: %v in %s", err, b)
	}
	return m
}

func wantJSON(t *testing.T, call string, got, want map[string]any) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if !reflect.DeepEqual(got[name], want[name]) {
			t.Errorf("%s: %s = %v, want %v", call, name, got[name], want[name])
		}
	}
	for name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%s lacks %s, want %v", call, name, want[name])
		}
	}
}

// KeepMessage bounds what is kept; a negative value keeps nothing.
func TestKeepMessage(t *testing.T) {
	for keep, kept := range map[int]map[int]bool{
		0:  {0: true, 4096: true, 4097: false},
		10: {10: true, 11: false},
		-1: {1: false, 100: false},
	} {
		bubble(t, fmt.Sprint(keep), func(t *testing.T) {
			gw := gateway.New(&gateway.Options{KeepMessage: keep, Logger: slog.New(slog.DiscardHandler),
				Limits: unlimited})
			s, p := open(t, gw, &recorder{})
			for size, ok := range kept {
				p.Send(gateway.Text(strings.Repeat("x", size)))
				synctest.Wait()
				if info := s.Info(); (len(info.Last.Message.Data) == size) != ok || info.LastSize != size ||
					info.Last.Type != gateway.EventData {
					t.Errorf("after %d bytes Info has %d and size %d, want them kept: %v", size,
						len(info.Last.Message.Data), info.LastSize, ok)
				}
			}
		})
	}
}

// An Info is a copy: changing it changes nothing.
func TestInfoIsACopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := gateway.New(&gateway.Options{Logger: slog.New(slog.DiscardHandler),
			Authorize: func(*http.Request) (*gateway.Admission, error) {
				return &gateway.Admission{Values: map[string]string{"a": "1"}, Groups: []string{"g"}}, nil
			}})
		s, p := open(t, gw, &recorder{})
		p.Send(gateway.Text("hello"))
		synctest.Wait()
		before := fmt.Sprintf("%+v", s.Info())
		for _, info := range []gateway.Info{s.Info(), first(gw.Info(t.Context(), s.ID()))} {
			info.Header.Set("Host", "x")
			info.Header["Upgrade"][0] = "x"
			info.Parameters["new"] = []string{"x"}
			info.Values["a"] = "x"
			info.Groups[0] = "x"
			info.Last.Message.Data[0] = 'x'
		}
		if after := fmt.Sprintf("%+v", s.Info()); after != before {
			t.Errorf("Info() after others changed theirs:\n got %s\nwant %s", after, before)
		}
	})
}

func first(info gateway.Info, err error) gateway.Info {
	if err != nil {
		panic(err)
	}
	return info
}

// A path parameter cannot be replaced by the query.
func TestPathValueAndParameters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, r := quiet(), &recorder{}
		gw.Handle("/u/{user}", r)
		serve(t, gw).Dial(t, "/u/ann?user=eve&other=x;y&user=mallory&+a+=%2B&flag")
		synctest.Wait()
		s := r.socket()
		params := s.Info().Parameters
		for name, want := range map[string]string{"user": "ann", "other": "x;y", " a ": "+", "flag": "",
			"none": ""} {
			if got := params.Get(name); got != want {
				t.Errorf("Parameters.Get(%q) = %q, want %q", name, got, want)
			}
		}
		if len(params["user"]) != 1 || s.PathValue("user") != "ann" || s.PathValue("other") != "" {
			t.Errorf("user = %q, PathValue(user) = %q, PathValue(other) = %q, want only the path's",
				params["user"], s.PathValue("user"), s.PathValue("other"))
		}
	})
}

// Over TLS the scheme is wss.
func TestInfoOverTLS(t *testing.T) {
	gw := quiet()
	got := make(chan gateway.Info, 1)
	gw.Handle("/",
		gateway.Callbacks{OnOpen: func(_ context.Context, s *gateway.Socket) error {
			got <- s.Info()
			return nil
		}})
	p := dialTCP(t, serveTCP(t, gw, true))
	p.upgrade("/?a=b")
	if info := <-got; info.URI != "wss://gateway.test/?a=b" ||
		info.RemoteAddr != p.conn.LocalAddr().String() {
		t.Errorf("Info has URI %q and RemoteAddr %q, want wss and %s", info.URI, info.RemoteAddr,
			p.conn.LocalAddr())
	}
}

// Logging an Info shows no header, no query and no message.
func TestInfoLogs(t *testing.T) {
	info := gateway.Info{SocketID: "id-1", Route: "/r", RemoteAddr: "1.2.3.4:5",
		URI:    "ws://h/?token=secret",
		Header: http.Header{"Cookie": {"secret"}}, Values: map[string]string{"k": "secret"},
		Last: gateway.Event{Type: gateway.EventData, Message: gateway.Text("secret")}}
	var b bytes.Buffer
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "socket", info)
	if text := b.String(); strings.Contains(text, "secret") || !strings.Contains(text, "id-1") ||
		!strings.Contains(text, "1.2.3.4") {
		t.Errorf("a logged Info is %s, want the id and the address and nothing secret", text)
	}
}

// A close event has all of its fields, also where the client gave no reason.
func TestInfoOfACloseWithoutReason(t *testing.T) {
	info := gateway.Info{Last: gateway.Event{Type: gateway.EventClose,
		Closed: gateway.Closed{Cause: gateway.CauseClient, Code: 1000}}}
	got := unmarshal(t, must(info.MarshalJSON()))
	for name, want := range map[string]any{"close_code": 1000.0, "close_reason": "",
		"close_cause": "client"} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (there: %v), want %v", name, v, ok, want)
		}
	}
}

func FuzzInfoJSON(f *testing.F) {
	f.Add("id", "ws://h/p?a=b", "open", "", false, 0, "client", "Cookie", "v")
	f.Add("id", "ws://h/", "data", "hello", false, 0, "", "X", "")
	f.Add("id", "ws://h/", "data", "\x00\xff", true, 0, "", "Accept", "a, b")
	f.Add("id", "ws://h/", "close", "", false, 4000, "operation", "Host", "h")
	f.Fuzz(func(t *testing.T, id, uri, typ, message string, binary bool, code int, cause, name, value string) {
		for _, s := range []*string{&id, &uri, &cause, &name, &value} {
			*s = strings.ToValidUTF8(*s, "?") // as everything in a socket's Info is, or json makes it
		}
		in := gateway.Info{SocketID: id, URI: uri, Route: "/{x}", Header: http.Header{name: {value}},
			Parameters: gateway.Parameters{name: {value}, "list": {value, id}},
			Values:     map[string]string{name: value},
			Opened:     time.UnixMilli(5),
			Last:       gateway.Event{Type: gateway.EventOpen, Time: time.UnixMilli(int64(code))}}
		switch typ {
		case "data":
			in.Last.Type, in.LastSize = gateway.EventData, len(message)
			in.Last.Message = gateway.Text(strings.ToValidUTF8(message, "?"))
			if in.LastSize = len(in.Last.Message.Data); binary {
				in.Last.Message, in.LastSize = gateway.Binary([]byte(message)), len(message)
			}
		case "close":
			in.Last.Type = gateway.EventClose
			in.Last.Closed = gateway.Closed{Cause: gateway.Cause(cause), Code: code, Reason: value}
		}
		b, err := in.JSONWithCredentials()
		if err != nil {
			t.Fatalf("JSONWithCredentials = %v", err)
		}
		var out gateway.Info
		if err := json.Unmarshal(b, &out); err != nil {
			t.Fatalf("Unmarshal(%s) = %v", b, err)
		}
		again, err := out.JSONWithCredentials()
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("the round trip of\n%s is\n%s, %v", b, again, err)
		}
		if string(out.Last.Message.Data) != string(in.Last.Message.Data) || out.LastSize != in.LastSize {
			t.Fatalf("the message %q came back as %q", in.Last.Message.Data, out.Last.Message.Data)
		}
	})
}

// Whatever JSON comes, UnmarshalJSON does not panic, and what it takes it can
// write.
func FuzzInfoUnmarshal(f *testing.F) {
	for _, s := range []string{`{}`, `null`, `{"type":"open"}`,
		`{"type":"data","message":"x","message_type":"data-binary"}`,
		`{"type":"close","close_code":1e3,"parameters":{"a":null,"b":"x","c":["y"],"d":[]}}`,
		`{"type":"data","message_size":-1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var info gateway.Info
		if json.Unmarshal(b, &info) != nil {
			return
		}
		once, err := info.JSONWithCredentials()
		if err != nil {
			t.Fatalf("JSONWithCredentials of what %s became = %v", b, err)
		}
		var again gateway.Info
		if err := json.Unmarshal(once, &again); err != nil && info.Last.Type != 0 {
			t.Fatalf("Unmarshal(%s) = %v, but it came from %s", once, err, b)
		}
	})
}
