package lua

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua/internal/vm"
)

var levels = map[string]slog.Level{
	"print": slog.LevelInfo, "debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn,
	"error": slog.LevelError,
}

// print logs what a script prints.
func (m *machine) print(s *vm.State, level, text, chunk string, line int) {
	if m.quiet {
		return
	}
	ctx, attrs := context.Background(), []slog.Attr(nil)
	if e, _ := s.Host.(*event); e != nil {
		ctx = e.ctx
		attrs = e.origin()
	}
	attrs = append(attrs, slog.String("script", chunk), slog.Int("line", line))
	if !m.program.host.mayLog(&m.program.host.bounds.lines, "lines of scripts") {
		return
	}
	m.program.host.log.LogAttrs(ctx, levels[level], text, attrs...)
}

// origin says where an event comes from.
func (e *event) origin() []slog.Attr {
	if e.socket == nil {
		return []slog.Attr{slog.String("trigger", e.trigger)}
	}
	return []slog.Attr{slog.String("socket_id", e.socket.ID()), slog.String("route", e.route)}
}

func (e *event) attrs() []slog.Attr {
	attrs := append(e.origin(), slog.String("script", e.script.file))
	if e.socket != nil {
		attrs = append(attrs, slog.String("event", e.ev.Type.String()))
	}
	return attrs
}

// refused logs and counts an operation that failed, or a call of a service: the script
// may not look at what it returns.
func (m *machine) refused(op string, err gateway.Error) {
	ctx, attrs := context.Background(), []slog.Attr(nil)
	e, _ := m.Host.(*event)
	if e != nil {
		e.script.count.refuse()
		ctx = e.ctx
	}
	log := m.program.host.log
	if m.quiet || !log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	if e != nil {
		attrs = e.origin()
	}
	chunk, line := m.Position()
	log.LogAttrs(ctx, slog.LevelDebug, "refused", append(attrs,
		slog.String("operation", op), slog.String("script", chunk), slog.Int("line", line),
		slog.String("type", err.Type), slog.String("error", err.Message))...)
}

// mayLog reports whether there is room for one more line this second. The first that
// is dropped makes a warning.
func (h *Host) mayLog(w *window, what string) bool {
	ok, told, before := w.allow(time.Now())
	if told {
		h.log.LogAttrs(context.Background(), slog.LevelWarn, what+" are dropped",
			slog.Int("limit_per_second", w.most), slog.Int("dropped_before", before))
	}
	return ok
}

// failed logs the failure of a script.
func (h *Host) failed(e *event, err error) {
	if !h.mayLog(&h.bounds.failures, "failures of scripts") {
		return
	}
	attrs := append(e.attrs(), slog.String("error", err.Error()))
	var failure *vm.Error
	if errors.As(err, &failure) {
		if failure.Budget != "" {
			attrs = append(attrs, slog.String("budget", failure.Budget))
		}
		if failure.Traceback != "" {
			attrs = append(attrs, slog.String("traceback", failure.Traceback))
		}
	}
	h.log.LogAttrs(e.ctx, slog.LevelError, "script failed", attrs...)
}

// ScriptStats counts what a script has done since it was first deployed. It
// counts on when a script of the same file and route is deployed again.
type ScriptStats struct {
	File         string        // as in the solution
	Route        string        // the pattern; "" for an event handler
	Event        string        // of an event handler: service and event, as in "timer timer"
	Runs         int64         // events that it ran for
	Errors       int64         // runs that failed
	Refused      int64         // operations and calls of services that failed; the script may know why
	Instructions int64         // in all runs
	Time         time.Duration // in all runs, without operations and services
	Most         Usage         // the most of each that one run has used
}

// Stats returns the counters of all scripts, by file, route and event.
func (h *Host) Stats() []ScriptStats { return h.counters.all() }

type counters struct {
	mu    sync.Mutex
	stats ScriptStats // guarded by mu
}

func (c *counters) add(u vm.Usage, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Runs++
	c.stats.Instructions += u.Instructions
	c.stats.Time += u.Time
	c.stats.Most.most(u)
	if err != nil {
		c.stats.Errors++
	}
}

type counterKey struct{ file, route, event string }

func keyOf(s *script) counterKey { return counterKey{s.file, s.pattern, s.event} }

func (c *counters) refuse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Refused++
}

type counterSet struct {
	mu    sync.Mutex
	byKey map[counterKey]*counters // guarded by mu
}

func (s *counterSet) get(sc *script) *counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := keyOf(sc)
	c := s.byKey[key]
	if c == nil {
		c = &counters{stats: ScriptStats{File: sc.file, Route: sc.pattern, Event: sc.event}}
		if s.byKey == nil {
			s.byKey = make(map[counterKey]*counters)
		}
		s.byKey[key] = c
	}
	return c
}

// keep drops the counters of all other scripts.
func (s *counterSet) keep(scripts []*script) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := make(map[counterKey]*counters, len(scripts))
	for _, sc := range scripts {
		kept[keyOf(sc)] = sc.count
	}
	s.byKey = kept
}

func (s *counterSet) all() []ScriptStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]ScriptStats, 0, len(s.byKey))
	for _, c := range s.byKey {
		c.mu.Lock()
		all = append(all, c.stats)
		c.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b ScriptStats) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Route, b.Route),
			cmp.Compare(a.Event, b.Event))
	})
	return all
}
