package gateway

import (
	"context"
	"log/slog"
)

// logClosed writes the one line about a socket's end. What is ordinary is for
// debugging; what an operator may want to know is Info.
func (h *Handler) logClosed(s *Socket, c Closed) {
	level := slog.LevelInfo
	switch c.Cause {
	case CauseClient, CauseConnectionLost, CauseOperation, CauseEndpoint, CauseDrain, CauseIdle, CauseExpired, CauseRouteRemoved:
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
		h.log.Debug("socket opened", s.attrs("remote_addr", s.req.remote)...)
	}
}

// String returns the word for the policy.
func (p RatePolicy) String() string {
	switch p {
	case RateDelay:
		return "delay"
	case RateDrop:
		return "drop"
	case RateClose:
		return "close"
	}
	return "default"
}
