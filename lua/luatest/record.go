package luatest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
)

// watched is a gateway whose routes tell the recorder when an event begins and
// ends.
type watched struct {
	*gateway.Handler
	rec *recorder
}

// Replace replaces the routes by such that are watched.
func (w watched) Replace(owner string, routes []gateway.Route) error {
	for i, rt := range routes {
		routes[i].Endpoint = gateway.EndpointFunc(func(
			ctx context.Context, s *gateway.Socket, ev gateway.Event,
		) error {
			return w.rec.serve(ctx, rt.Endpoint, s, ev)
		})
	}
	return w.Handler.Replace(owner, routes)
}

// A recorder keeps what happens in one event. It is the handler of the host's
// logger.
type recorder struct {
	want   gateway.EventType
	done   chan struct{} // closed when the event is over
	missed chan struct{} // closed when there was none

	mu     sync.Mutex
	runs   bool
	over   bool
	closed bool // the event has closed the socket
	id     string
	logs   []Log
	failed error
}

// mark is sent before and after the event: what the socket gets in between are
// the replies. No client's text looks like it, as it is not in order.
var mark = gateway.Binary([]byte("\x00luatest\xff"))

func (r *recorder) serve(ctx context.Context, ep gateway.Endpoint, s *gateway.Socket,
	ev gateway.Event) error {
	if ev.Type == gateway.EventClose {
		defer r.miss()
	}
	if ev.Type != r.want || !r.begin(s.ID()) {
		return ep.ServeEvent(ctx, s, ev)
	}
	s.Send(ctx, mark) // a socket that is closed gets none, and no replies either
	var err error
	defer func() { r.end(err != nil || s.Send(ctx, mark) != nil) }()
	err = ep.ServeEvent(ctx, s, ev)
	return err
}

// begin reports whether this is the first event of its type.
func (r *recorder) begin(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.runs || r.over {
		return false
	}
	r.runs, r.id = true, id
	return true
}

func (r *recorder) end(closed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs, r.over, r.closed = false, true, closed
	close(r.done)
}

// miss is called when the socket has closed.
func (r *recorder) miss() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over {
		close(r.missed)
	}
}

// result is called when the event is over.
func (r *recorder) result(p *gatewaytest.Peer) Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	res := Result{SocketID: r.id, Logs: r.logs, Err: r.failed}
	if r.want == gateway.EventClose {
		return res
	}
	if r.closed {
		res.Closed = true
		res.CloseCode, res.CloseReason = p.Closed()
	}
	for marks := 0; marks < 2 && !(r.closed && p.Empty()); {
		switch m := p.Receive(); {
		case m.Type == mark.Type && bytes.Equal(m.Data, mark.Data):
			marks++
		case marks == 1:
			res.Replies = append(res.Replies, m)
		}
	}
	return res
}

// Enabled makes the recorder a slog.Handler.
func (r *recorder) Enabled(context.Context, slog.Level) bool { return true }

// Handle keeps what a script logs, and the failure.
func (r *recorder) Handle(_ context.Context, rec slog.Record) error {
	log := Log{Level: rec.Level, Text: rec.Message}
	var failure error
	rec.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "script":
			log.File = a.Value.String()
		case "line":
			log.Line = int(a.Value.Int64())
		case "error":
			failure = errors.New(a.Value.String())
		}
		return true
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !r.runs:
	case log.Line > 0:
		r.logs = append(r.logs, log)
	case failure != nil && rec.Level >= slog.LevelError:
		r.failed = failure
	}
	return nil
}

// WithAttrs makes the recorder a slog.Handler.
func (r *recorder) WithAttrs([]slog.Attr) slog.Handler { return r }

// WithGroup makes the recorder a slog.Handler.
func (r *recorder) WithGroup(string) slog.Handler { return r }

// A tb is the testing.TB of a server and a peer outside of a test, so that Run
// works in examples too. What would fail the test ends Run with an error.
type tb struct {
	testing.TB
	cleanups []func()
	failed   error
}

// failure is the panic of Fatalf.
type failure struct{ error }

func (t *tb) Helper()             {}
func (t *tb) Logf(string, ...any) {}
func (t *tb) Cleanup(f func())    { t.cleanups = append(t.cleanups, f) }

func (t *tb) Errorf(format string, args ...any) {
	if t.failed == nil {
		t.failed = fmt.Errorf(format, args...)
	}
}

func (t *tb) Fatalf(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }

// end cleans up and sets err to what has failed.
func (t *tb) end(err *error) {
	v := recover()
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
	switch f, ok := v.(failure); {
	case ok:
		*err = f.error
	case v != nil:
		panic(v)
	case *err == nil:
		*err = t.failed
	}
}
