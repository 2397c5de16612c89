package vm

import (
	"strings"
	"testing"
)

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
