package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if play() { // the tests run their own binary as the other processes
		return
	}
	// Under the race detector every process would sleep a second at its end.
	os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0")
	os.Exit(m.Run())
}

// Each kind of hostile clients gets in and does what it does, and the good ones get all of
// their echoes. Times do not matter.
func TestEveryKindRuns(t *testing.T) {
	c := config{Hostile: 20, Good: 3, For: 100 * time.Millisecond}
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			c := c
			c.Kind = k.name
			row, err := besiege(c, k)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(row, "| "+k.title+" | 20 | ") {
				t.Errorf("the row is %q, want that of %q with 20 sockets", row, k.title)
			}
		})
	}
}
