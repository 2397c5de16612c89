package vm

import (
	"strings"
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
	s.SetGlobal("f",
		s.Function("f", func(c *Call) error { c.Return(float64(len(src.data))); return nil }))
	if more := s.held(1<<40) - before; more <= 0 || more > 10_000 {
		t.Errorf("a lazy table and a function count as %d bytes", more)
	}
	s.SetGlobal("text", string(src.data[0]))
	if more := s.held(1<<40) - before; more < 1<<20 || more > 1<<20+20_000 {
		t.Errorf("with a string of 1 MiB they count as %d bytes", more)
	}
}

// A hostSource refers to what the host has, as that of websocketInfo does.
type hostSource struct{ data []string }

func (*hostSource) Keys() []string             { return []string{"a"} }
func (*hostSource) Field(*State, string) Value { return "a" }

// What is behind the source of a lazy table is not the State's: it is neither
// counted nor read, for other goroutines may be writing it.
func TestHeldEndsAtTheHost(t *testing.T) {
	source := &hostSource{data: []string{strings.Repeat("x", 10<<20)}}
	stop, written := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(written)
		for {
			select {
			case <-stop:
				return
			default:
				source.data = source.data[:1] // the race detector watches
			}
		}
	}()
	s := New(Config{})
	var held int64
	_, err := s.Run(func() error {
		s.SetGlobal("info", s.NewLazy(source))
		held = s.held(1 << 40)
		return nil
	})
	close(stop)
	<-written
	if err != nil || held > 1<<20 {
		t.Errorf("held = %d bytes (%v), want less than 1 MiB: the 10 MiB are the host's", held, err)
	}
}
