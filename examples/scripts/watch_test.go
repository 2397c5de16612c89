package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
)

// patience is how long a test waits for what should take a fraction of a
// second: the machine may be busy.
const patience = 30 * time.Second

// until waits for a condition on real files, of which nothing says when the
// system has told of them.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// answers is a script that answers each message with a word.
func answers(word string) string {
	return "--#ENDPOINT WEBSOCKET /w\nif websocketInfo.type == 'data' then return '" + word + "' end\n"
}

// untilAnswer asks on the open socket until it gets the word.
func untilAnswer(t *testing.T, p *gatewaytest.Peer, word string) {
	t.Helper()
	until(t, "the answer "+word, func() bool {
		p.Send(gateway.Text("?"))
		return string(p.Receive().Data) == word
	})
}

func TestEditsAreDeployed(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "endpoints/w.lua", answers("one"))
	srv, _ := start(t, config{dir: dir})
	p := srv.Dial(t, "/w")
	p.Send(gateway.Text("?"))
	expect(t, p, "one")

	write(t, dir, "endpoints/w.lua", answers("two"))
	untilAnswer(t, p, "two")

	// As editors do: into a new file that takes the other's place.
	write(t, dir, "endpoints/.w.lua.swp", answers("three"))
	if err := os.Rename(filepath.Join(dir, "endpoints/.w.lua.swp"),
		filepath.Join(dir, "endpoints/w.lua")); err != nil {
		t.Fatal(err)
	}
	untilAnswer(t, p, "three")

	// In folders that were not there.
	write(t, dir, "modules/deep/down/m.lua", "word = 'four'")
	// nil: a module that is being written
	write(t, dir, "endpoints/w.lua", strings.ReplaceAll(answers("@"), "'@'", "tostring(word)"))
	untilAnswer(t, p, "four")
	write(t, dir, "modules/deep/down/m.lua", "word = 'five'")
	untilAnswer(t, p, "five")

	// A whole folder moves away and another takes its place.
	if err := os.Rename(filepath.Join(dir, "modules"), filepath.Join(dir, ".old")); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "modules/m.lua", "word = 'six'")
	untilAnswer(t, p, "six")
	write(t, dir, "modules/m.lua", "word = 'seven'")
	untilAnswer(t, p, "seven")
}

func TestErrorsLeaveTheOldScripts(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "endpoints/w.lua", answers("one"))
	srv, _ := start(t, config{dir: dir})
	p := srv.Dial(t, "/w")
	before := look(t, srv, "").State.Deployed

	write(t, dir, "endpoints/w.lua", answers("two")+"\nlocal x = = 1\n")
	write(t, dir, "endpoints/v.lua", "--#ENDPOINT WEBSOCKET v{\nreturn 1")
	until(t, "two problems", func() bool { return len(look(t, srv, "").State.Problems) == 2 })
	state := look(t, srv, "").State
	for i, want := range []struct {
		file string
		line int
		code string
	}{{"endpoints/v.lua", 1, "--#ENDPOINT WEBSOCKET v{"}, {"endpoints/w.lua", 4, "local x = = 1"}} {
		if got := state.Problems[i]; got.File != want.file || got.Line != want.line ||
			got.Code != want.code || got.Text == "" {
			t.Errorf("problem %d = %+v, want %+v", i, got, want)
		}
	}
	if state.Deployed != before || len(state.Routes) != 1 {
		t.Errorf("state = %+v, want what was deployed before", state)
	}
	p.Send(gateway.Text("?"))
	expect(t, p, "one")

	if err := os.Remove(filepath.Join(dir, "endpoints/v.lua")); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "endpoints/w.lua", answers("two"))
	untilAnswer(t, p, "two")
	until(t, "no problem", func() bool { return len(look(t, srv, "").State.Problems) == 0 })
}

// The directory goes and comes back, and so does the one above it.
func TestDirectoryComesBack(t *testing.T) {
	top := filepath.Join(t.TempDir(), "a")
	dir := filepath.Join(top, "b", "solution")
	write(t, dir, "endpoints/w.lua", answers("one"))
	srv, _ := start(t, config{dir: dir})
	p := srv.Dial(t, "/w")
	for i, round := range []struct{ remove, word string }{{dir, "two"}, {top, "three"},
		{dir, "four"}} {
		if err := os.RemoveAll(round.remove); err != nil {
			t.Fatal(err)
		}
		until(t, "a problem", func() bool { return len(look(t, srv, "").State.Problems) > 0 })
		p.Send(gateway.Text("?"))
		expect(t, p, []string{"one", "two", "three"}[i])
		write(t, dir, "endpoints/w.lua", answers(round.word))
		untilAnswer(t, p, round.word)
	}
	// At once, so that nobody may have looked in between.
	if err := os.Rename(dir, filepath.Join(top, "gone")); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "endpoints/w.lua", answers("five"))
	untilAnswer(t, p, "five")
	write(t, dir, "endpoints/w.lua", answers("six"))
	untilAnswer(t, p, "six")
}

// A directory that is a link to a release, and is pointed to the next.
func TestLinkIsTurned(t *testing.T) {
	top := t.TempDir()
	for _, word := range []string{"one", "two"} {
		write(t, top, word+"/endpoints/w.lua", answers(word))
		if err := os.Symlink(word, filepath.Join(top, "to-"+word)); err != nil {
			t.Skipf("NOT TESTED with links: %v", err)
		}
	}
	link := filepath.Join(top, "current")
	if err := os.Rename(filepath.Join(top, "to-one"), link); err != nil {
		t.Fatal(err)
	}
	srv, _ := start(t, config{dir: link})
	p := srv.Dial(t, "/w")
	untilAnswer(t, p, "one")
	if err := os.Rename(filepath.Join(top, "to-two"), link); err != nil {
		t.Fatal(err)
	}
	untilAnswer(t, p, "two")
	write(t, top, "two/endpoints/w.lua", answers("three"))
	untilAnswer(t, p, "three")
}

func TestWatchingADirectoryThatIsNotThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	srv, _ := start(t, config{dir: dir})
	if s := look(t, srv, "").State; s.Deployed != 0 || len(s.Problems) != 1 {
		t.Errorf("state = %+v, want nothing deployed and one problem", s)
	}
	write(t, dir, "w.lua", answers("one"))
	until(t, "a route", func() bool { return len(look(t, srv, "").State.Routes) == 1 })
	untilAnswer(t, srv.Dial(t, "/w"), "one")
}

// What cannot change a solution deploys nothing.
func TestOtherFilesAreIgnored(t *testing.T) {
	root := filepath.Join(string(filepath.Separator), "x", "solution")
	w := &watcher{root: root}
	for path, want := range map[string]bool{
		root: true, filepath.Dir(root): true, filepath.Join(root, "a.lua"): true,
		filepath.Join(root, "modules"):    true,
		filepath.Join(root, ".a.lua.swp"): false, filepath.Join(root, "a.lua~"): false, root + "2": false,
		filepath.Join(filepath.Dir(root), "other"): false,
	} {
		if got := w.concerns(fsnotify.Event{Name: path, Op: fsnotify.Write}); got != want {
			t.Errorf("concerns(%s) = %v, want %v", path, got, want)
		}
	}
	if w.concerns(fsnotify.Event{Name: filepath.Join(root, "a.lua"), Op: fsnotify.Chmod}) {
		t.Error("a change of permissions alone concerns the solution")
	}
}

// The goroutine ends with its context, whatever it is doing.
func TestWatchEnds(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	wait, err := watch(ctx, dir, func(context.Context) { calls++ })
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "a.lua", "")
	cancel()
	wait()
	if calls < 1 {
		t.Error("changed was not called")
	}
}
