package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// An editor writes a file in several steps, and a checkout many files. A change
// is acted upon once it has been quiet for a moment, but never later than
// latest, so that an edit is live within a second whatever else goes on.
const (
	quiet  = 80 * time.Millisecond
	latest = 400 * time.Millisecond
)

// patient is the quiet that is waited for before routes are removed: some editors
// empty a file and write it a moment later, and sockets of a route that is removed are
// closed. It is not waited longer than mostPatient.
const (
	patient     = time.Second
	mostPatient = 5 * time.Second
)

// again is the time until watching is tried again where the system refused it.
const again = time.Second

// A watcher calls changed after each change below a directory.
//
// It watches the directory, all below it, and those above it, so that it sees it
// go and come back. After each change it begins
// anew, with all that is there by then: nothing it knows can be out of date.
// What changes between two watches is seen by changed, which is called when the
// new one is in place.
type watcher struct {
	root    string      // absolute
	removes func() bool // reports whether acting now would remove routes
	changed func(ctx context.Context)
}

// watch returns a function that waits for the end of the goroutine that
// watches, which comes with that of ctx. changed is called once before watch
// returns, and later by that goroutine.
func watch(ctx context.Context, dir string,
	changed func(ctx context.Context)) (wait func(), err error) {
	return watchPatiently(ctx, dir, func() bool { return false }, changed)
}

// watchPatiently is watch for changes that may remove routes: they wait a while longer.
func watchPatiently(
	ctx context.Context, dir string, removes func() bool, changed func(ctx context.Context),
) (wait func(), err error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	w := &watcher{root, removes, changed}
	events, err := w.open()
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", dir, err)
	}
	changed(ctx)
	done := make(chan struct{})
	go func() { // ends with ctx; wait waits for it
		defer close(done)
		w.run(ctx, events)
	}()
	return func() { <-done }, nil
}

func (w *watcher) run(ctx context.Context, events *fsnotify.Watcher) {
	var patience <-chan time.Time // not nil while it is waited before routes are removed
	var since time.Time
	for {
		seen, ok := w.settle(ctx, events, patience)
		_ = events.Close() // waits for its goroutine; cannot fail
		if !ok {
			return
		}
		if events = w.reopen(ctx); events == nil {
			return
		}
		if patience == nil {
			since = time.Now()
		}
		if seen && time.Since(since) < mostPatient && w.removes() {
			patience = time.After(patient)
			continue
		}
		patience = nil
		w.changed(ctx)
	}
}

// reopen tries to watch until it can. It returns nil when ctx ends.
func (w *watcher) reopen(ctx context.Context) *fsnotify.Watcher {
	for ctx.Err() == nil {
		events, err := w.open()
		if err == nil {
			return events
		}
		slog.Error("edits are not seen", "dir", w.root, "error", err)
		select {
		case <-time.After(again):
		case <-ctx.Done():
		}
	}
	return nil
}

// open watches the directory as it is now.
func (w *watcher) open() (*fsnotify.Watcher, error) {
	events, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(addAbove(events, w.root), addBelow(events, w.root)); err != nil {
		return nil, errors.Join(err, events.Close())
	}
	return events, nil
}

// addAbove watches the directories above a path, as far as they exist and may be
// read: from the top down, so that one that comes meanwhile is seen.
func addAbove(events *fsnotify.Watcher, path string) error {
	parent := filepath.Dir(path)
	if parent == path {
		return nil
	}
	if err := addAbove(events, parent); err != nil {
		return err
	}
	err := events.Add(parent)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// addBelow watches a directory and those below it. One that is added before it
// is read misses nothing: what comes later is an event.
func addBelow(events *fsnotify.Watcher, dir string) error {
	err := events.Add(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // its coming will be seen
	}
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // gone, or no directory; deploying will say so
	}
	for _, e := range entries {
		if e.IsDir() && !hidden(e.Name()) {
			if err := addBelow(events, filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle waits for a change and then for quiet; changed is true then. Without a change it
// returns at the end of patience. It reports false when ctx ends.
func (w *watcher) settle(ctx context.Context, events *fsnotify.Watcher,
	patience <-chan time.Time) (changed, ok bool) {
	var calm, deadline <-chan time.Time // nil until something changes
	for {
		seen := false
		select {
		case e := <-events.Events:
			seen = w.concerns(e)
		case err := <-events.Errors: // such as an overflow: anything may have changed
			slog.Warn("watching", "dir", w.root, "error", err)
			seen = true
		case <-calm:
			return true, true
		case <-deadline:
			return true, true
		case <-patience:
			return false, true
		case <-ctx.Done():
			return false, false
		}
		if seen {
			patience = nil
			calm = time.After(quiet)
			if deadline == nil {
				deadline = time.After(latest)
			}
		}
	}
}

// concerns reports whether an event may change the solution.
func (w *watcher) concerns(e fsnotify.Event) bool {
	if e.Op == fsnotify.Chmod {
		return false
	}
	if w.root == e.Name || isBelow(w.root, e.Name) { // the directory, or one above it
		return true
	}
	return isBelow(e.Name, w.root) && !hidden(filepath.Base(e.Name))
}

func isBelow(path, dir string) bool {
	return strings.HasPrefix(path,
		strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator))
}

// hidden reports whether a name is one that solutions do not read, and editors
// use for their own.
func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~")
}
