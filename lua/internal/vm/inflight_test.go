package vm

import (
	"testing"
	"time"
)

// An asked Guard notes what it is asked for, and grants little more.
type askedGuard struct{ most int64 }

func (g *askedGuard) Turn(time.Duration) error { return nil }
func (g *askedGuard) Leave() error             { return nil }
func (g *askedGuard) Return() error            { return nil }
func (g *askedGuard) Output(int) error         { return nil }

func (g *askedGuard) Hold(held int64, counted bool) (may int64, err error) {
	if !counted {
		return 0, nil
	}
	g.most = max(g.most, held)
	return held + 64<<10, nil
}

// A host is asked for the memory of what a library is at work on before it is made, and
// not only when a script holds it.
func TestResultsInTheMakingAreHeld(t *testing.T) {
	const parts = `local s = ("x"):rep(100000) local t = {} for i = 1, 30 do t[i] = s end `
	for name, c := range map[string]struct {
		source      string
		least, most int64
	}{
		"nothing":      {parts + "return #t", 0, 1 << 20},
		"rep":          {`return #("x"):rep(3e6)`, 3e6, 5e6},
		"..":           {`local s = ("x"):rep(1e6) return #(s .. s .. s)`, 4e6, 6e6},
		"upper":        {`local s = ("x"):rep(2e6) return #s:upper()`, 4e6, 6e6},
		"table.concat": {parts + "return #table.concat(t)", 3e6, 12e6},
		"to_json":      {parts + "return #to_json(t)", 3e6, 12e6},
		"gsub":         {parts + "return #(s:sub(1, 300)):gsub('.', ('y'):rep(9999))", 3e6, 12e6},
		"format":       {parts + "return #string.format(('%s'):rep(30), unpack(t))", 3e6, 12e6},
		"a failure": {parts + "t[31] = {} for i = 1, 9 do pcall(table.concat, t) end return #t",
			3e6, 12e6},
	} {
		g := &askedGuard{}
		s := New(Config{})
		s.Guard = g
		s.Grant(64 << 10)
		if _, _, err := runIn(t, s, c.source); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if g.most < c.least || g.most > c.most {
			t.Errorf("%s: asked for %d bytes, want %d to %d", name, g.most, c.least, c.most)
		}
		if s.run.building != 0 {
			t.Errorf("%s: %d bytes are still at work", name, s.run.building)
		}
	}
}
