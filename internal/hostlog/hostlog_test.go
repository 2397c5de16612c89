package hostlog_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/wsgateway/gateway/internal/hostlog"
)

func plain(b *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// A nil logger follows slog.Default, also one that has attributes; any other does not.
func TestHandlerFollowsDefault(t *testing.T) {
	old := slog.Default()
	defer slog.SetDefault(old)
	var first, second, own bytes.Buffer
	slog.SetDefault(plain(&first))
	base := hostlog.Logger(nil)
	with, fixed := base.With("a", 1).WithGroup("g").With("b", 2), hostlog.Logger(plain(&own)).With("c",
		3)
	with.Info("one", "x", 1)
	slog.SetDefault(plain(&second))
	base.Info("two")
	with.Info("three", "x", 2)
	fixed.Info("four")
	for name, c := range map[string]struct {
		got  *bytes.Buffer
		want string
	}{
		"first":  {&first, "msg=one a=1 g.b=2 g.x=1\n"},
		"second": {&second, "msg=two\nmsg=three a=1 g.b=2 g.x=2\n"},
		"own":    {&own, "msg=four c=3\n"},
	} {
		if got := c.got.String(); got != c.want {
			t.Errorf("%s default: got %q, want %q", name, got, c.want)
		}
	}
}

// A broken logger panics in all that it is asked.
type broken struct{}

func (broken) Enabled(context.Context, slog.Level) bool  { panic("enabled") }
func (broken) Handle(context.Context, slog.Record) error { panic("handle") }
func (broken) WithAttrs([]slog.Attr) slog.Handler        { panic("attrs") }
func (broken) WithGroup(string) slog.Handler             { panic("group") }

func TestPanicsStayInside(t *testing.T) {
	l := hostlog.Logger(slog.New(broken{})).With("a", 1).WithGroup("g")
	l.Info("nothing")
	if l.Enabled(t.Context(), slog.LevelError) {
		t.Error("a handler that panics is enabled")
	}
	var b bytes.Buffer
	hostlog.Logger(plain(&b)).Info("line")
	if !strings.Contains(b.String(), "line") {
		t.Errorf("got %q", &b)
	}
}
