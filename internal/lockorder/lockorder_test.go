//lint:file-ignore SA2001 What the locks guard does not matter here, only their order.

package lockorder

import (
	"strings"
	"sync"
	"testing"
)

type (
	outer struct{}
	inner struct{}
)

func (outer) Rank() (int, string) { return 1, "outer" }
func (inner) Rank() (int, string) { return 2, "inner" }

type locks struct {
	outer, outer2 Mutex[outer]
	inner         Mutex[inner]
	rw            RWMutex[inner]
}

// Checked builds panic at the wrong order, and name both locks; others do not look.
func TestOrder(t *testing.T) {
	for name, c := range map[string]struct {
		take func(l *locks)
		bad  string // of the panic
	}{
		"right": {func(l *locks) {
			l.outer.Lock()
			l.inner.Lock()
			l.inner.Unlock()
			l.outer.Unlock()
		}, ""},
		"right, for reading": {func(l *locks) {
			l.outer.Lock()
			l.rw.RLock()
			l.rw.RUnlock()
			l.outer.Unlock()
		}, ""},
		"one after the other": {func(l *locks) {
			l.inner.Lock()
			l.inner.Unlock()
			l.outer.Lock()
			l.outer.Unlock()
		}, ""},
		"released crosswise": {func(l *locks) {
			l.outer.Lock()
			l.inner.Lock()
			l.outer.Unlock()
			l.inner.Unlock()
			l.outer.Lock()
			l.outer.Unlock()
		}, ""},
		"tried": {func(l *locks) {
			l.inner.Lock()
			if l.outer.TryLock() {
				l.outer.Unlock()
			}
			l.inner.Unlock()
		}, ""},
		"wrong": {func(l *locks) {
			l.inner.Lock()
			l.outer.Lock()
		}, "outer (1) is taken while inner (2)"},
		"wrong, for reading": {func(l *locks) {
			l.rw.RLock()
			l.outer.Lock()
		}, "outer (1) is taken while inner (2)"},
		"two of one level": {func(l *locks) {
			l.outer.Lock()
			l.outer2.Lock()
		}, "outer (1) is taken while outer"},
		"read twice": {func(l *locks) {
			l.rw.RLock()
			l.rw.RLock()
		}, "inner (2) is taken while inner"},
		"written in a read": {func(l *locks) {
			l.inner.Lock()
			l.rw.Lock()
		}, "inner (2) is taken while inner"},
		"behind a tried one": {func(l *locks) {
			l.inner.TryLock()
			l.outer.Lock()
		}, "outer (1) is taken while inner"},
	} {
		if !Checked && c.bad != "" {
			continue // it might deadlock
		}
		var wg sync.WaitGroup // a panic leaves its goroutine's locks held
		wg.Go(func() {
			defer func() {
				v := recover()
				text, _ := v.(string)
				if (v != nil) != (c.bad != "") || !strings.Contains(text, c.bad) {
					t.Errorf("%s: the panic is %v, want %q", name, v, c.bad)
				}
			}()
			c.take(new(locks))
		})
		wg.Wait()
	}
}

// Held names what its own goroutine holds.
func TestHeld(t *testing.T) {
	if !Checked {
		t.Skip("only where the order is checked")
	}
	var l locks
	l.outer.Lock()
	l.inner.Lock()
	var elsewhere string
	var wg sync.WaitGroup
	wg.Go(func() { elsewhere = Held() })
	wg.Wait()
	both := Held()
	l.inner.Unlock()
	one := Held()
	l.outer.Unlock()
	if none := Held(); both != "inner" || one != "outer" || none != "" || elsewhere != "" {
		t.Errorf("Held() = %q, %q, %q, and %q elsewhere; want inner, outer and twice nothing",
			both, one, none, elsewhere)
	}
}

// What one goroutine holds is nothing to others, and locks exclude each other.
func TestGoroutinesAreApart(t *testing.T) {
	var l locks
	n := 0
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				l.outer.Lock()
				l.inner.Lock()
				n++
				l.inner.Unlock()
				l.outer.Unlock()
				l.rw.RLock()
				l.rw.RUnlock()
			}
		})
	}
	wg.Wait()
	if n != 8*500 {
		t.Errorf("n = %d, want %d", n, 8*500)
	}
}
