package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

// The test binary is a child too.
func TestMain(m *testing.M) {
	if os.Getenv("BENCH_LUA_CHILD") != "" {
		main()
		return
	}
	// Under the race detector every child would sleep a second at its end.
	os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0")
	os.Exit(m.Run())
}

// It measures a little of everything, and looks at no figure: only whether every
// endpoint answers as it should, and the report has a line for each.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	// What memory a process gives back tells nothing with the race detector's own in it.
	s := size{rounds: 1, batch: 100, long: 2000, machine: 4, deploys: 1, disturbers: 4,
		calm: 300 * time.Millisecond, settle: time.Millisecond}
	if err := run(t.Context(), s, &out); err != nil {
		t.Fatal(err)
	}
	for _, e := range endpoints {
		if !strings.Contains(out.String(), "\n| "+e.name+" | ") {
			t.Errorf("no line for %s", e.name)
		}
	}
	for _, text := range []string{"typical, gopher-lua | ", "| event 2,000 as quick as event 1,000 | ",
		"| deploying 100 scripts ", "An idle VM with a script of 30 lines holds "} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("the report lacks %q", text)
		}
	}
	if t.Failed() || strings.Contains(out.String(), "NaN") {
		t.Errorf("the report is\n%s", out.String())
	}
}

// A wrong answer is an error, not a figure.
func TestWrongAnswer(t *testing.T) {
	e, err := find("typical, Lua")
	if err != nil {
		t.Fatal(err)
	}
	e.answer = strings.Replace(e.answer, "25", "26", 1)
	p, err := start(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.turn(100); err == nil || !strings.Contains(err.Error(), `total\":25`) {
		t.Errorf("turn = %v, want an error that shows the answer", err)
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}
