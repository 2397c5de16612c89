package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/wsgateway/gateway"
)

// Causes and error types that hosts choose have a counter each, up to a number.
func TestStatsOfNamesWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		gw := gateway.New(&gateway.Options{Logger: slog.New(slog.DiscardHandler), MaxSocketsPerAddr: -1,
			Authorize: func(r *http.Request) (*gateway.Admission, error) {
				if r.PathValue("kind") == "long" { // too long to be kept
					return nil, &gateway.Error{Type: strings.Repeat("long ", 30), Message: "no", Status: 403}
				}
				if n++; r.PathValue("kind") == "refused" {
					return nil, &gateway.Error{Type: fmt.Sprintf("type %d", n), Message: "no", Status: 403}
				}
				return nil, nil
			}})
		gw.HandleRoute(gateway.Route{Pattern: "/{kind}",
			Endpoint: gateway.Callbacks{OnOpen: func(context.Context, *gateway.Socket) error {
				return &gateway.CloseError{Cause: gateway.Cause(fmt.Sprintf("cause %d", n))}
			}}})
		srv := serve(t, gw)
		rawConn(t, srv).request(head("/x", "/long"))
		for range 150 {
			rawConn(t, srv).request(head("/x", "/refused"))
			p := rawDial(t, srv, "/opened")
			synctest.Wait()
			p.conn.Close()
		}
		rawConn(t, srv).request(head("/x", "/no/route")) // the gateway's own always count
		gw.Shutdown(t.Context())
		st := gw.Stats()
		for name := range st.Refused {
			if len(name) > 100 {
				t.Errorf("a type of %d bytes is kept", len(name))
			}
		}
		if len(st.Refused) != 102 || st.Refused["other"] != 51 || st.Refused["type 1"] != 1 ||
			st.Refused["no_route"] != 1 {
			t.Errorf("%d types of refusals are counted, %d as other", len(st.Refused), st.Refused["other"])
		}
		if len(st.Closed) != 101 || st.Closed["other"] != 50 {
			t.Errorf("%d causes are counted, %d as other", len(st.Closed), st.Closed["other"])
		}
	})
}

// A cause that stands for the reason is the endpoint's text, and fits a close frame.
func TestLongCause(t *testing.T) {
	for _, cause := range []string{strings.Repeat("long ", 50), "not \xff UTF-8",
		strings.Repeat("ü", 100), strings.Repeat("\xff", 200)} {
		bubble(t, "", func(t *testing.T) {
			gw := quiet()
			gw.Handle("/x", gateway.Callbacks{OnOpen: func(context.Context, *gateway.Socket) error {
				return &gateway.CloseError{Cause: gateway.Cause(cause)}
			}})
			p := rawDial(t, serve(t, gw), "/x")
			first, payload := p.read()
			reason := payload[min(2, len(payload)):]
			if first != 0x88 || len(payload) < 3 || len(payload) > 125 || !utf8.ValidString(reason) {
				t.Errorf("the close frame of cause %.20q has %d bytes with the reason %q", cause,
					len(payload), reason)
			}
			if !strings.HasPrefix(cause, strings.TrimRight(reason, "\uFFFD UTF-8")) {
				t.Errorf("the reason %q is not the beginning of the cause %.20q", reason, cause)
			}
		})
	}
}

// Without a Logger each line goes to what is the default by then.
func TestDefaultLoggerIsAskedEachTime(t *testing.T) {
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.DiscardHandler))
	gw := gateway.New(nil)
	gw.HandleRoute(gateway.Route{Pattern: "/", Endpoint: echo(),
		Authorize: func(*http.Request) (*gateway.Admission, error) {
			return nil, fmt.Errorf("broken inside")
		}})
	for _, want := range []string{"first", "second"} {
		var b bytes.Buffer
		slog.SetDefault(slog.New(slog.NewTextHandler(&b, nil)).With("default", want))
		asked(gw, sinkRequest("/"))
		if line := b.String(); !strings.Contains(line, "broken inside") ||
			!strings.Contains(line, "default="+want) {
			t.Errorf("the %s default logger heard %q", want, b.String())
		}
	}
}

// What is kept of a request is counted, and no part of it is kept twice.
func TestRequestSize(t *testing.T) {
	for _, path := range []string{"/rooms/blue", "/rooms/" + strings.Repeat("x", 3000),
		"/rooms/a%20b?q=" + strings.Repeat("y", 2000)} {
		bubble(t, path[:11], func(t *testing.T) {
			gw, r := quiet(), &recorder{}
			gw.Handle("/rooms/{room}", r)
			rawDial(t, serve(t, gw), path, "X-Large: "+strings.Repeat("z", 500), "")
			synctest.Wait()
			s := r.socket()
			size := gateway.RequestSize(s)
			if least := len(path) + 500; size < least || size > least+500 {
				t.Errorf("the request is %d bytes, want a little more than %d", size, least)
			}
		})
	}
}

// Many exceptions are as exact as few.
func TestExceptMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, r := quiet(), &recorder{}
		gw.Handle("/x", r)
		srv := serve(t, gw)
		left := srv.Dial(t, "/x")
		synctest.Wait() // or heard could be the first
		heard := srv.Dial(t, "/x")
		synctest.Wait()
		g := gw.All().Except(r.sockets[0].ID())
		for i := range 10_000 {
			if i%5000 == 0 {
				many := make([]string, 5000)
				for j := range many {
					many[j] = fmt.Sprint("nobody ", i, j)
				}
				g = g.Except(many...)
			}
		}
		if n, err := g.Send(t.Context(), gateway.Text("x")); n != 1 || err != nil {
			t.Errorf("Send = %d, %v, want 1", n, err)
		}
		wantText(t, heard, "x")
		if !left.Empty() {
			t.Error("the excepted socket has received the message")
		}
		if n, err := gw.All().Send(t.Context(), gateway.Text("all")); n != 2 || err != nil {
			t.Errorf("Send to the group without exceptions = %d, %v, want 2", n, err)
		}
	})
}
