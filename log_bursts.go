package gateway

import (
	"context"
	"log/slog"
	"time"

	"github.com/wsgateway/gateway/internal/lockorder"
)

const (
	defaultLogsPerSecond = 20
	mostLogKinds         = 200 // hosts choose causes too, at worst without end
)

// bursts count the lines of each kind, so that of a burst a few are written and the others
// told in one. Debug lines are not counted: who switches them on wants all.
type bursts struct {
	most int // lines of one kind in a second; negative: no bound

	mu    lockorder.Mutex[rankCounts]
	kinds map[string]*burst
}

// A burst is one kind of lines in one second.
type burst struct {
	kind    string
	level   slog.Level
	began   time.Time
	written int
	left    int // lines that were not written
	timer   *time.Timer
}

// kindOf is what a line has in common with others: its text, and the cause of a close.
func kindOf(r *slog.Record) string {
	kind := r.Message
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "cause" {
			kind += " (" + a.Value.String() + ")"
		}
		return true
	})
	return kind
}

// allow reports whether a line is to be written. When the first of a second is not, tell is
// called after that second with what to write instead.
func (b *bursts) allow(r *slog.Record, tell func(*burst, int)) bool {
	if b.most < 0 || r.Level < slog.LevelInfo {
		return true
	}
	kind := kindOf(r)
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.kinds[kind]
	if one == nil {
		if b.kinds == nil {
			b.kinds = map[string]*burst{}
		}
		if len(b.kinds) >= mostLogKinds {
			return true
		}
		one = &burst{kind: kind, level: r.Level}
		b.kinds[kind] = one
	}
	if r.Time.Sub(one.began) >= time.Second {
		one.began, one.written = r.Time, 0
	}
	if one.written < b.most {
		one.written++
		return true
	}
	if one.left++; one.left == 1 {
		one.timer = time.AfterFunc(time.Second, func() { b.tell(one, tell) })
	}
	return false
}

// tell ends a burst's second.
func (b *bursts) tell(one *burst, tell func(*burst, int)) {
	b.mu.Lock()
	n := one.left
	one.left = 0
	if one.timer != nil {
		one.timer.Stop()
	}
	b.mu.Unlock()
	if n > 0 {
		tell(one, n)
	}
}

// flush tells what was left out and not told yet, for Shutdown.
func (b *bursts) flush(tell func(*burst, int)) {
	var all []*burst
	b.mu.Lock()
	for _, one := range b.kinds {
		all = append(all, one)
	}
	b.mu.Unlock()
	for _, one := range all {
		b.tell(one, tell)
	}
}

// tellLeft writes how many lines of a kind were left out.
func (l logger) tellLeft(one *burst, n int) {
	ctx := context.Background()
	if !l.Enabled(ctx, one.level) {
		return
	}
	r := slog.NewRecord(time.Now(), one.level, "log lines left out", 0)
	r.AddAttrs(slog.String("of", one.kind), slog.Int("lines", n))
	l.write(ctx, r)
}
