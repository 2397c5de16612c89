package vm

import (
	"testing"
)

// A bigSource holds much that is the host's.
type bigSource struct{ data [][]byte }

func (b *bigSource) Keys() []string             { return []string{"n"} }
func (b *bigSource) Field(*State, string) Value { return float64(len(b.data)) }

// What the host gives a script to look at is not the script's, however much hangs
// on it.
func TestHeldIsTheVMsOwn(t *testing.T) {
	s := New(Config{})
	src := &bigSource{}
	for range 100 {
		src.data = append(src.data, make([]byte, 1<<20))
	}
	before := s.held(1 << 40)
	s.SetGlobal("lazy", s.NewLazy(src))
	s.SetGlobal("f", s.Function("f", func(c *Call) error { c.Return(float64(len(src.data))); return nil }))
	if more := s.held(1<<40) - before; more <= 0 || more > 10_000 {
		t.Errorf("a lazy table and a function count as %d bytes", more)
	}
	s.SetGlobal("text", string(src.data[0]))
	if more := s.held(1<<40) - before; more < 1<<20 || more > 1<<20+20_000 {
		t.Errorf("with a string of 1 MiB they count as %d bytes", more)
	}
}
