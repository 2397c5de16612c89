package gateway

import (
	"context"
	"log/slog"
)

// A logger is the host's slog.Handler, or that of slog.Default at the moment, of which a
// panic is kept from everybody else: it costs its line and nothing more.
type logger struct {
	host   slog.Handler
	bursts *bursts
}

func newLogger(l *slog.Logger, perSecond int) logger {
	own := logger{bursts: &bursts{most: or(perSecond, defaultLogsPerSecond)}}
	if l != nil {
		own.host = l.Handler()
	}
	return own
}

func (l logger) now() slog.Handler {
	if l.host == nil {
		return slog.Default().Handler()
	}
	return l.host
}

// Enabled implements slog.Handler.
func (l logger) Enabled(ctx context.Context, level slog.Level) (enabled bool) {
	defer func() { recover() }()
	return l.now().Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (l logger) Handle(ctx context.Context, r slog.Record) error {
	if !l.bursts.allow(&r, l.tellLeft) {
		return nil
	}
	return l.write(ctx, r)
}

func (l logger) write(ctx context.Context, r slog.Record) (err error) {
	defer func() { recover() }()
	return l.now().Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (l logger) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logger{l.now().WithAttrs(attrs), l.bursts}
}

// WithGroup implements slog.Handler.
func (l logger) WithGroup(name string) slog.Handler {
	return logger{l.now().WithGroup(name), l.bursts}
}

// logClosed writes the one line about a socket's end. The socket's own goroutine does:
// neither those who close it nor the sweeper wait for a logger. Ordinary ends are logged
// at Debug, those that an operator may look for at Info.
func (h *Handler) logClosed(s *Socket, c Closed) {
	level := slog.LevelInfo
	switch c.Cause {
	case CauseClient, CauseConnectionLost, CauseOperation, CauseEndpoint, CauseDrain, CauseIdle,
		CauseExpired, CauseRouteRemoved:
		level = slog.LevelDebug
	}
	if !h.log.Enabled(context.Background(), level) {
		return
	}
	attrs := s.attrs("cause", string(c.Cause), "code", c.Code)
	if c.Err != nil {
		attrs = append(attrs, "error", c.Err.Error())
	}
	h.log.Log(context.Background(), level, "socket closed", attrs...)
}

func (h *Handler) logOpened(s *Socket) {
	if h.log.Enabled(context.Background(), slog.LevelDebug) {
		h.log.Debug("socket opened", s.attrs("remote_addr", s.req.remote())...)
	}
}
