package budget_test

import (
	"math"
	"sync"
	"testing"

	"github.com/wsgateway/gateway/internal/budget"
)

// What is granted shrinks with what others hold.
func TestGrants(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		name       string
		most       int64
		used       int
		mine, want int
		granted    bool
	}{
		{"all of an empty one", 100 * mib, 0, 0, 100 * mib, true},
		{"more than all", 100 * mib, 0, 0, 100*mib + 1, false},
		{"an eighth of what is half full", 96 * mib, 48 * mib, 0, 12 * mib, true},
		{"more than that", 96 * mib, 48 * mib, 0, 12*mib + 1, false},
		{"a thousandth at nine tenths", 1000 * mib, 900 * mib, 0, mib - 1, true},
		{"more than that, too", 1000 * mib, 900 * mib, 0, mib + 1, false},
		{"what it holds itself is no obstacle", 100 * mib, 90 * mib, 90 * mib, 100 * mib, true},
		{"a little more for one that holds much", 100 * mib, 90 * mib, 20 * mib, 20*mib + 1, false},
		{"the same", 100 * mib, 100 * mib, mib, mib, true},
		{"less", 100 * mib, 200 * mib, mib, 1, true},
		{"nothing", 100 * mib, 200 * mib, 0, 0, true},
		{"one byte of a full one", 100 * mib, 100 * mib, 0, 1, false},
		{"one byte beyond the bound", 100 * mib, 200 * mib, 0, 1, false},
		{"anything without a bound", -1, 200 * mib, 0, math.MaxInt, true},
		{"a bound as large as there is", math.MaxInt64, 1 << 30, 0, 1 << 30, true},
		{"a bound of one byte", 1, 0, 0, 1, true},
		{"two of one", 1, 0, 0, 2, false},
	} {
		b := budget.New(c.most)
		b.Add(c.used)
		if got := b.Grants(c.mine, c.want); got != c.granted {
			t.Errorf("%s: Grants(%d, %d) with %d of %d used = %v, want %v", c.name, c.mine, c.want, c.used,
				c.most, got, c.granted)
		}
	}
}

// What stays gets half of the bound, and less the fuller that half is.
func TestGrantsLasting(t *testing.T) {
	for _, c := range []struct {
		used, want int
		granted    bool
	}{
		{0, 500, true}, {0, 501, false}, {250, 62, true}, {250, 63, false},
		{500, 1, false}, {900, 1, false}, {900, 0, true},
	} {
		b := budget.New(1000)
		b.Add(c.used)
		if got := b.GrantsLasting(c.want); got != c.granted {
			t.Errorf("GrantsLasting(%d) with %d of 1000 used = %v, want %v", c.want, c.used, got, c.granted)
		}
	}
	if b := budget.New(-1); !b.GrantsLasting(math.MaxInt) {
		t.Error("GrantsLasting without a bound = false, want true")
	}
}

// Any number of holders that take whatever they are granted never exceed the bound, share
// alike, and leave room for one that holds little.
func TestHoardersLeaveRoom(t *testing.T) {
	const most, step = 256 << 20, 4 << 10
	for _, holders := range []int{1, 2, 10, 300, 5_000} {
		b := budget.New(most)
		held := make([]int, holders)
		for grew := true; grew; {
			grew = false
			for i := range held {
				if b.Grants(held[i], held[i]+step) {
					b.Add(step)
					held[i] += step
					grew = true
				}
			}
		}
		least, largest := held[0], held[0]
		for _, n := range held {
			least, largest = min(least, n), max(largest, n)
		}
		if b.Used() > most {
			t.Errorf("%d holders have %d bytes together, the bound is %d", holders, b.Used(), most)
		}
		if largest-least > 2*step {
			t.Errorf("of %d holders one has %d bytes and another %d, want about the same", holders, least,
				largest)
		}
		if holders > 1 && !b.Grants(0, 32<<10) {
			t.Errorf("beside %d holders that took all they could nobody gets 32 KiB", holders)
		}
	}
}

func TestNil(t *testing.T) {
	var b *budget.Budget
	b.Add(5)
	if !b.Grants(0, math.MaxInt) || !b.GrantsLasting(math.MaxInt) || b.Used() != 0 || b.Most() != -1 {
		t.Errorf("a nil Budget grants %v and %v, has %d used of %d, want no bound and nothing counted",
			b.Grants(0, math.MaxInt), b.GrantsLasting(math.MaxInt), b.Used(), b.Most())
	}
}

func TestConcurrent(t *testing.T) {
	b := budget.New(1000)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				b.Add(3)
				b.Grants(3, 4)
				b.Add(-3)
			}
		})
	}
	all.Wait()
	if b.Used() != 0 {
		t.Errorf("Used() = %d after everything was given back, want 0", b.Used())
	}
}
