package gateway

import (
	"context"
	"log/slog"
)

// A defaultLogger passes each line to what slog.Default is at that time: programs set
// it when they like.
type defaultLogger struct{}

func (defaultLogger) Enabled(ctx context.Context, l slog.Level) bool {
	return slog.Default().Handler().Enabled(ctx, l)
}

func (defaultLogger) Handle(ctx context.Context, r slog.Record) error {
	return slog.Default().Handler().Handle(ctx, r)
}

func (defaultLogger) WithAttrs(attrs []slog.Attr) slog.Handler {
	return slog.Default().Handler().WithAttrs(attrs)
}

func (defaultLogger) WithGroup(name string) slog.Handler {
	return slog.Default().Handler().WithGroup(name)
}
