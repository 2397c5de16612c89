// Package hostlog is how the parts of the library write to a host's logger.
package hostlog

import (
	"context"
	"log/slog"
	"slices"
)

// A handler is the host's, or that of slog.Default at the moment, of which a panic is kept
// from everybody else: it costs its line and nothing more.
type handler struct {
	own  slog.Handler // nil: that of slog.Default
	with []func(slog.Handler) slog.Handler
}

// Handler returns the handler of a logger. Nil means that of slog.Default, which is
// asked anew for each line: a program may set it at any time.
func Handler(l *slog.Logger) slog.Handler {
	if l == nil {
		return handler{}
	}
	return handler{own: l.Handler()}
}

// Logger is Handler as a logger.
func Logger(l *slog.Logger) *slog.Logger { return slog.New(Handler(l)) }

func (h handler) now() slog.Handler {
	now := h.own
	if now == nil {
		now = slog.Default().Handler()
	}
	for _, with := range h.with {
		now = with(now)
	}
	return now
}

// Enabled implements slog.Handler.
func (h handler) Enabled(ctx context.Context, level slog.Level) (enabled bool) {
	defer func() { recover() }()
	return h.now().Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) (err error) {
	defer func() { recover() }()
	return h.now().Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.and(func(to slog.Handler) slog.Handler { return to.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler {
	return h.and(func(to slog.Handler) slog.Handler { return to.WithGroup(name) })
}

// and returns a handler with one more of what its lines have in common. A host's own
// handler is asked for it once, that of slog.Default each time.
func (h handler) and(with func(slog.Handler) slog.Handler) (more slog.Handler) {
	if h.own == nil {
		return handler{with: append(slices.Clip(h.with), with)}
	}
	defer func() {
		if recover() != nil {
			more = h
		}
	}()
	return handler{own: with(h.own)}
}
