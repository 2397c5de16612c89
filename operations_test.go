package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/wsgateway/gateway"
)

func TestOperationsOnOneSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, r, ctx := quiet(), &recorder{}, t.Context()
		s, p := open(t, gw, r)
		id := s.ID()

		wantErr(t, "Send(text)", gw.Send(ctx, id, gateway.Text("grüße")), nil)
		wantText(t, p, "grüße")
		wantErr(t, "Send(binary)", gw.Send(ctx, id, gateway.Binary([]byte{0, 255})), nil)
		if m := p.Receive(); m.Type != gateway.MessageBinary || string(m.Data) != "\x00\xff" {
			t.Errorf("Receive() = %v %q, want the raw bytes in a binary message", m.Type, m.Data)
		}
		wantErr(t, "Send of an empty text", gw.Send(ctx, id, gateway.Text("")), nil)
		wantText(t, p, "")
		wantErr(t, "SendSync", gw.SendSync(ctx, id, gateway.Text("sync")), nil)
		wantText(t, p, "sync")

		if ids, err := gw.List(ctx); err != nil || !slices.Equal(ids, []string{id}) {
			t.Errorf("List() = %q, %v, want [%s]", ids, err, id)
		}
		if info, err := gw.Info(ctx, id); err != nil || info.SocketID != id ||
			info.Last.Type != gateway.EventOpen {
			t.Errorf("Info() = %+v, %v, want the socket in state open", info, err)
		}
		wantErr(t, "Close", gw.Close(ctx, id), nil)
		wantClosed(t, p, 1000, "operation")
		r.expect(t, "open", `close operation 1000 "operation"`)
	})
}

func TestOperationFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := withLimits(gateway.Limits{SendLimit: 10})
		s, p := open(t, gw, &recorder{})
		id := s.ID()
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		info := func(id string) error { _, err := gw.Info(t.Context(), id); return err }
		send := func(id string, m gateway.Message) error { return gw.Send(t.Context(), id, m) }
		with := func(code int, reason string) error { return gw.CloseWith(t.Context(), id, code, reason) }
		for _, c := range []struct {
			call string
			err  error
			want *gateway.Error
		}{
			{"Send to an empty id", send("", gateway.Text("x")), gateway.ErrInvalid},
			{"Send to an unknown id", send("nobody", gateway.Text("x")), gateway.ErrNotFound},
			{"Send to a one-letter id", send("n", gateway.Text("x")), gateway.ErrNotFound},
			{"Send of no message", send(id, gateway.Message{}), gateway.ErrInvalid},
			{"Send of type 3", send(id, gateway.Message{Type: 3}), gateway.ErrInvalid},
			{"Send of text that is not UTF-8", send(id, gateway.Text("\xff")), gateway.ErrInvalid},
			{"Socket.Send of text that is not UTF-8", s.Send(t.Context(), gateway.Text("\xff")),
				gateway.ErrInvalid},
			{"Send of 11 bytes", send(id, gateway.Text("12345678901")), gateway.ErrTooLarge},
			{"SendSync of 11 bytes", gw.SendSync(t.Context(), id, gateway.Text("12345678901")),
				gateway.ErrTooLarge},
			{"Send of 10 bytes", send(id, gateway.Text("1234567890")), nil},
			{"Send with an ended context", gw.Send(ended, id, gateway.Text("x")), gateway.ErrTimeout},
			{"SendWait with an ended context", gw.SendWait(ended, id, gateway.Text("x")),
				gateway.ErrTimeout},
			{"SendSync with an ended context", gw.SendSync(ended, id, gateway.Text("x")),
				gateway.ErrTimeout},
			{"SendSync to an empty id", gw.SendSync(t.Context(), "", gateway.Text("x")), gateway.ErrInvalid},
			{"SendSync of no message", s.SendSync(t.Context(), gateway.Message{}), gateway.ErrInvalid},
			{"Close of an empty id", gw.Close(t.Context(), ""), gateway.ErrInvalid},
			{"Close of an unknown id", gw.Close(t.Context(), "nobody"), gateway.ErrNotFound},
			{"Info of an empty id", info(""), gateway.ErrInvalid},
			{"Info of an unknown id", info("nobody"), gateway.ErrNotFound},
			{"CloseWith(999)", with(999, ""), gateway.ErrInvalid},
			{"CloseWith(1005)", with(1005, ""), gateway.ErrInvalid},
			{"CloseWith(1006)", with(1006, ""), gateway.ErrInvalid},
			{"CloseWith(1010)", with(1010, ""), gateway.ErrInvalid},
			{"CloseWith(1015)", with(1015, ""), gateway.ErrInvalid},
			{"CloseWith(2999)", with(2999, ""), gateway.ErrInvalid},
			{"CloseWith(5000)", with(5000, ""), gateway.ErrInvalid},
			{"CloseWith(-1)", with(-1, ""), gateway.ErrInvalid},
			{"CloseWith(1000, 124 bytes)", with(1000, strings.Repeat("x", 124)), gateway.ErrInvalid},
			{"CloseWith(1000, not UTF-8)", with(1000, "\xff"), gateway.ErrInvalid},
			{"Socket.CloseWith(1005)", s.CloseWith(1005, ""), gateway.ErrInvalid},
			{"CloseWith(4999, 123 bytes)", with(4999, strings.Repeat("é", 61)+"x"), nil},
		} {
			wantErr(t, c.call, c.err, c.want)
		}
		wantClosed(t, p, 4999, strings.Repeat("é", 61)+"x")
		if wantText(t, p, "1234567890"); !p.Empty() {
			t.Errorf("of a send that failed the client got %q", p.Receive().Data)
		}
	})
}

// The life of an id: open, closing, gone.
func TestLifeOfAnID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, ctx := quiet(), t.Context()
		release := make(chan struct{})
		r := &recorder{on: func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
			if ev.Type == gateway.EventClose {
				<-release
			}
			return nil
		}}
		s, p := open(t, gw, r)
		wantErr(t, "Close", gw.Close(ctx, s.ID()), nil)
		check := func(when string, want *gateway.Error) {
			t.Helper()
			wantErr(t, when+", Send", gw.Send(ctx, s.ID(), gateway.Text("late")), want)
			wantErr(t, when+", SendSync", gw.SendSync(ctx, s.ID(), gateway.Text("late")), want)
			wantErr(t, when+", Close", gw.Close(ctx, s.ID()), want)
			if ids, _ := gw.List(ctx); len(ids) != 0 {
				t.Errorf("%s, List() = %q, want nothing", when, ids)
			}
			if n, err := gw.CloseAll(ctx); n != 0 || err != nil {
				t.Errorf("%s, CloseAll() = %d, %v, want 0, nil", when, n, err)
			}
		}
		check("closing", gateway.ErrClosed)
		p.Closed()
		synctest.Wait()
		check("in the close event", gateway.ErrClosed)
		if info, err := gw.Info(ctx, s.ID()); err != nil || info.Last.Type != gateway.EventClose ||
			info.Last.Closed.Code != 1000 {
			t.Errorf("in the close event, Info() = %+v, %v, want type close and code 1000", info.Last, err)
		}
		close(release)
		synctest.Wait()
		check("after the close event", gateway.ErrNotFound)
		if _, err := gw.Info(ctx, s.ID()); !errors.Is(err, gateway.ErrNotFound) {
			t.Errorf("after the close event, Info() = %v, want not_found", err)
		}
		wantErr(t, "after the close event, Socket.Send", s.Send(ctx, gateway.Text("late")),
			gateway.ErrClosed)
		wantErr(t, "after the close event, Socket.Close", s.Close(), gateway.ErrClosed)
	})
}

func TestCloseAllAndListManySockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, r, ctx := quiet(), &recorder{}, t.Context()
		gw.Handle("/", r)
		srv := serve(t, gw)
		const n = 30
		for range n {
			srv.Dial(t, "/")
		}
		synctest.Wait()
		ids, err := gw.List(ctx)
		if err != nil || len(ids) != n || !slices.IsSorted(ids) ||
			len(slices.Compact(slices.Clone(ids))) != n {
			t.Fatalf("List() = %q, %v, want %d different ids in order", ids, err, n)
		}
		seen := 0
		for id, err := range gw.ListSeq(ctx) {
			if _, found := slices.BinarySearch(ids, id); !found || err != nil {
				t.Errorf("ListSeq yielded %q, %v, which is not in List", id, err)
			}
			if seen++; seen == n/2 {
				break // must not deadlock or yield again
			}
		}
		wantErr(t, "Close of one", gw.Close(ctx, ids[0]), nil)
		if got, err := gw.CloseAll(ctx); got != n-1 || err != nil {
			t.Errorf("CloseAll() = %d, %v, want the %d that were open", got, err, n-1)
		}
		if ids, _ := gw.List(ctx); len(ids) != 0 {
			t.Errorf("List() right after CloseAll = %q, want nothing", ids)
		}
		synctest.Wait()
		if st := gw.Stats(); st.Open != 0 || st.Opened != n || st.Closed[gateway.CauseOperation] != n {
			t.Errorf("Stats() = %+v, want none open, %d opened and closed by operation", st, n)
		}
	})
}

func TestSocketIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, r := quiet(), &recorder{}
		gw.Handle("/", r)
		srv := serve(t, gw)
		srv.Dial(t, "/")
		srv.Dial(t, "/")
		synctest.Wait()
		a, b := r.sockets[0].ID(), r.sockets[1].ID()
		if a == b || a[:10] != b[:10] || len(a) < 10+22 {
			t.Errorf("ids %q and %q: want different ones that begin with their node and carry 128 random "+
				"bits", a, b)
		}
		if strings.Trim(a+b, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			t.Errorf("ids %q and %q: want only characters that need no escaping in a URL", a, b)
		}
	})
}

// The types and statuses are fixed: programs switch on them.
func TestErrorObjects(t *testing.T) {
	for want, e := range map[string]*gateway.Error{
		"invalid_request 400": gateway.ErrInvalid, "unauthorized 401": gateway.ErrUnauthorized,
		"forbidden 403": gateway.ErrForbidden, "not_found 404": gateway.ErrNotFound,
		"no_route 404":           gateway.ErrNoRoute,
		"method_not_allowed 405": gateway.ErrMethod, "closed 410": gateway.ErrClosed,
		"too_large 413":        gateway.ErrTooLarge,
		"upgrade_required 426": gateway.ErrUpgrade, "queue_full 429": gateway.ErrQueueFull,
		"too_many_sockets 503": gateway.ErrTooMany, "internal 500": gateway.ErrInternal,
		"not_implemented 501": gateway.ErrUnsupported, "shutting_down 503": gateway.ErrShutdown,
		"unreachable 503": gateway.ErrUnreachable, "timeout 504": gateway.ErrTimeout,
	} {
		if got := fmt.Sprintf("%s %d", e.Type, e.Status); got != want || e.Message == "" {
			t.Errorf("error %+v, want %s and a text", e, want)
		}
		b, err := json.Marshal(e)
		wantJSON := fmt.Sprintf(`{"type":%q,"error":%q,"status":%d}`, e.Type, e.Message, e.Status)
		if err != nil || string(b) != wantJSON {
			t.Errorf("json.Marshal(%v) = %s, %v, want %s", e, b, err, wantJSON)
		}
	}
}

func TestErrorOf(t *testing.T) {
	own := &gateway.Error{Type: "teapot", Message: "short and stout", Status: http.StatusTeapot}
	for _, c := range []struct {
		err    error
		typ    string
		status int
	}{
		{nil, "", 0},
		{own, "teapot", 418},
		{fmt.Errorf("wrapped: %w", own), "teapot", 418},
		{gateway.ErrNotFound, "not_found", 404},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), "timeout", 504},
		{context.Canceled, "timeout", 504},
		{io.EOF, "internal", 500},
		{&gateway.CloseError{Code: 4000}, "internal", 500},
	} {
		got := gateway.ErrorOf(c.err)
		if got.Type != c.typ || got.Status != c.status {
			t.Errorf("ErrorOf(%v) = %q %d, want %q %d", c.err, got.Type, got.Status, c.typ, c.status)
		}
		if c.err != nil && !errors.Is(&got, &gateway.Error{Type: c.typ}) {
			t.Errorf("ErrorOf(%v) does not compare by type", c.err)
		}
	}
	if errors.Is(gateway.ErrNotFound, gateway.ErrClosed) || errors.Is(gateway.ErrNotFound, io.EOF) {
		t.Error("errors.Is compares more than the type")
	}
	if e := (&gateway.Error{Type: "internal", Err: io.EOF}); !errors.Is(e, io.EOF) {
		t.Error("errors.Is does not find the cause of an Error")
	}
}

func TestMessages(t *testing.T) {
	type name string
	if m := gateway.Text(name("x")); m.Type != gateway.MessageText || string(m.Data) != "x" {
		t.Errorf("Text = %+v, want a text of one byte", m)
	}
	if m := gateway.Text([]byte("ab")); m.Type != gateway.MessageText || string(m.Data) != "ab" {
		t.Errorf("Text(bytes) = %+v, want a text of two bytes", m)
	}
	if m, err := gateway.JSON(map[string]int{"n": 1}); err != nil || m.Type != gateway.MessageText ||
		string(m.Data) != `{"n":1}` {
		t.Errorf("JSON = %+v, %v, want the text of the object", m, err)
	}
	if _, err := gateway.JSON(func() {}); !errors.Is(err, gateway.ErrInvalid) {
		t.Errorf("JSON(func) = %v, want invalid_request", err)
	}
	for word, want := range map[string]gateway.MessageType{"": 1, "data-text": 1, "data-binary": 2} {
		if got, err := gateway.ParseMessageType(word); got != want || err != nil {
			t.Errorf("ParseMessageType(%q) = %v, %v, want %v", word, got, err, want)
		}
	}
	if _, err := gateway.ParseMessageType("text"); !errors.Is(err, gateway.ErrInvalid) {
		t.Errorf("ParseMessageType(text) = %v, want invalid_request", err)
	}
	for got, want := range map[string]string{
		gateway.MessageText.String(): "data-text", gateway.MessageBinary.String(): "data-binary",
		gateway.EventOpen.String(): "open", gateway.EventData.String(): "data",
		gateway.EventClose.String(): "close",
	} {
		if got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
}
