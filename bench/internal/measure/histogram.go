// Package measure holds what turns observations into figures: a latency
// histogram, medians, and ratios over rounds.
package measure

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Each power of two is split into 1<<fraction buckets, so a bucket is at most
// 1/32 (3 %) wide.
const (
	fraction = 5
	buckets  = (64 - fraction + 1) << fraction
)

// A Histogram counts durations in buckets of at most 3 % width. The zero value
// is empty and ready. All methods are safe for concurrent use, but figures
// read while others still add may mix old and new.
type Histogram struct {
	counts [buckets]atomic.Uint32
	max    atomic.Int64
}

// Add counts d. A negative duration counts as zero.
func (h *Histogram) Add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(uint64(d))].Add(1)
	for {
		old := h.max.Load()
		if int64(d) <= old || h.max.CompareAndSwap(old, int64(d)) {
			return
		}
	}
}

// Reset forgets everything.
func (h *Histogram) Reset() {
	for i := range h.counts {
		h.counts[i].Store(0)
	}
	h.max.Store(0)
}

// Merge adds what other has counted.
func (h *Histogram) Merge(other *Histogram) {
	for i := range other.counts {
		if n := other.counts[i].Load(); n > 0 {
			h.counts[i].Add(n)
		}
	}
	h.max.Store(max(h.max.Load(), other.max.Load()))
}

// Count is the number of durations added.
func (h *Histogram) Count() int64 {
	var n int64
	for i := range h.counts {
		n += int64(h.counts[i].Load())
	}
	return n
}

// Max is the longest duration added, zero when there is none.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max.Load()) }

// Quantile is the duration that the share q (0 to 1) of those added does not
// exceed, to the width of a bucket; zero when there is none.
func (h *Histogram) Quantile(q float64) time.Duration {
	total := h.Count()
	if total == 0 {
		return 0
	}
	rank := max(int64(q*float64(total)+0.999999), 1)
	var seen int64
	for i := range h.counts {
		seen += int64(h.counts[i].Load())
		if seen >= rank {
			return min(time.Duration(upperOf(i)), h.Max())
		}
	}
	return h.Max()
}

func bucketOf(v uint64) int {
	if v < 1<<fraction {
		return int(v)
	}
	exp := bits.Len64(v) - 1 - fraction
	return (exp+1)<<fraction + int(v>>exp) - 1<<fraction
}

// upperOf is the largest value of bucket i.
func upperOf(i int) uint64 {
	if i < 1<<fraction {
		return uint64(i)
	}
	exp := i>>fraction - 1
	low := uint64(i&(1<<fraction-1) + 1<<fraction)
	return (low+1)<<exp - 1
}
