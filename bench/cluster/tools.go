package main

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// each makes calls from so many goroutines, and returns the first error.
func each(callers, calls int, fn func(i int) error) error {
	var wg sync.WaitGroup
	var next atomic.Int64
	var failed atomic.Pointer[error]
	for range callers {
		wg.Go(func() {
			for {
				i := int(next.Add(1))
				if i > calls || failed.Load() != nil {
					return
				}
				if err := fn(i); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// A clock tells the time that has passed, or the CPU time of this process.
type clock func() (time.Duration, error)

var start = time.Now()

func wall() (time.Duration, error) { return time.Since(start), nil }

// compare times two works in turn, and returns the medians of their times and of the
// ratio within each turn.
func (b *bench) compare(now clock, ours, other func() error) (_, _ time.Duration, _ float64,
	_ error) {
	var a, c []time.Duration
	var ratios []float64
	works := []func() error{ours, other}
	for turn := range b.turns {
		var took [2]time.Duration
		for i := range works {
			k := (i + turn) % len(works) // who is first has the worse caches
			work := works[k]
			before, err := now()
			if err != nil {
				return 0, 0, 0, err
			}
			if err := work(); err != nil {
				return 0, 0, 0, err
			}
			after, err := now()
			if err != nil {
				return 0, 0, 0, err
			}
			took[k] = after - before
		}
		a, c = append(a, took[0]), append(c, took[1])
		ratios = append(ratios, float64(took[0])/float64(took[1]))
	}
	slices.Sort(a)
	slices.Sort(c)
	slices.Sort(ratios)
	return a[len(a)/2], c[len(c)/2], ratios[len(ratios)/2], nil
}

// median is that of some values, which it sorts.
func median[T cmp.Ordered](all []T) T {
	slices.Sort(all)
	return all[len(all)/2]
}
