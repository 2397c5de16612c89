package gateway

import (
	"context"
	"log/slog"

	"github.com/wsgateway/gateway/internal/hostlog"
)

// A logger is the host's, of which too many lines of a kind are dropped.
type logger struct {
	slog.Handler
	bursts *bursts
}

func newLogger(l *slog.Logger, perSecond int) logger {
	return logger{hostlog.Handler(l), &bursts{most: or(perSecond, defaultLogsPerSecond)}}
}

// Handle implements slog.Handler.
func (l logger) Handle(ctx context.Context, r slog.Record) error {
	if !l.bursts.allow(&r, l.tellLeft) {
		return nil
	}
	return l.write(ctx, r)
}

func (l logger) write(ctx context.Context, r slog.Record) error { return l.Handler.Handle(ctx, r) }

// WithAttrs implements slog.Handler.
func (l logger) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logger{l.Handler.WithAttrs(attrs), l.bursts}
}

// WithGroup implements slog.Handler.
func (l logger) WithGroup(name string) slog.Handler {
	return logger{l.Handler.WithGroup(name), l.bursts}
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
