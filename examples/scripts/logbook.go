package main

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// How much of the log is kept for the page. Older entries are dropped: the
// program's own log has them.
const (
	maxEntries = 300
	maxText    = 2 << 10 // bytes of one text; longer ones are cut
)

// An entry is something that a script printed, or how it failed.
type entry struct {
	Number int64  `json:"number"` // from 1, without gaps
	Time   int64  `json:"time"`   // in ms since 1970
	Level  string `json:"level"`
	Text   string `json:"text"`
	Route  string `json:"route,omitempty"`
	Script string `json:"script,omitempty"`
	Line   int64  `json:"line,omitempty"`
	Detail string `json:"detail,omitempty"` // the error and its traceback
}

// A logbook keeps the latest entries, and hands all records on.
type logbook struct {
	slog.Handler // immutable

	mu      sync.Mutex
	entries []entry // guarded by mu; the latest, in order
	last    int64   // guarded by mu; number of the latest
}

func newLogbook(next slog.Handler) *logbook { return &logbook{Handler: next} }

// Enabled reports true: the page shows also what the log leaves out.
func (b *logbook) Enabled(context.Context, slog.Level) bool { return true }

// Handle keeps a record and hands it on.
func (b *logbook) Handle(ctx context.Context, r slog.Record) error {
	e := entry{Time: r.Time.UnixMilli(), Level: strings.ToLower(r.Level.String()),
		Text: cut(r.Message)}
	var failure, traceback string
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "route":
			e.Route = cut(a.Value.String())
		case "script":
			e.Script = cut(a.Value.String())
		case "line":
			if a.Value.Kind() == slog.KindInt64 {
				e.Line = a.Value.Int64()
			}
		case "error":
			failure = a.Value.String()
		case "traceback":
			traceback = a.Value.String()
		}
		return true
	})
	e.Detail = cut(strings.TrimSpace(failure + "\n" + traceback))
	b.add(e)
	if !b.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return b.Handler.Handle(ctx, r)
}

func cut(text string) string {
	if len(text) > maxText {
		text = text[:maxText] + " …"
	}
	return strings.ToValidUTF8(text, "?")
}

func (b *logbook) add(e entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	e.Number = b.last
	if len(b.entries) == maxEntries {
		copy(b.entries, b.entries[1:])
		b.entries = b.entries[:maxEntries-1]
	}
	b.entries = append(b.entries, e)
}

// after returns the entries with higher numbers, oldest first. A number that
// was never given is of an earlier process: then it returns all.
func (b *logbook) after(number int64) []entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	if number > b.last || number < 0 {
		number = 0
	}
	i, _ := slices.BinarySearchFunc(b.entries, number+1,
		func(e entry, n int64) int { return int(e.Number - n) })
	return append([]entry{}, b.entries[i:]...)
}
