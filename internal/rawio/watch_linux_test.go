package rawio

import (
	"sync"
	"testing"
)

type nobody struct{}

func (nobody) Awake() {}

// A connection may be watched by two at once for the first time: one that goes to sleep, and
// one that was woken by somebody else before it did.
func TestWatchByTwo(t *testing.T) {
	w, err := NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for range 200 {
		c, _, _ := pair(t, false)
		start := make(chan struct{})
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				<-start
				if err := w.Watch(c, nobody{}); err != nil {
					t.Errorf("Watch = %v", err)
				}
			})
		}
		close(start)
		both.Wait()
		w.Forget(c, nobody{})
	}
}
