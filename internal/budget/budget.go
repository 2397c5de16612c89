// Package budget counts what many hold together against one bound.
package budget

import "sync/atomic"

// A Budget is a number of bytes that are held, and how many may be. Its methods are safe
// from any goroutine. A nil Budget has no bound and counts nothing.
//
// The fuller it is, the less each holder may have, so that there is always room for those
// who hold little: nobody is refused for what others hoard, until there are very many of
// these. See [Budget.Grants].
type Budget struct {
	used atomic.Int64
	most atomic.Int64
}

// New returns a Budget of most bytes; negative means no bound.
func New(most int64) *Budget {
	b := new(Budget)
	b.most.Store(most)
	return b
}

// Raise makes the bound most, if it is a lower one.
func (b *Budget) Raise(most int64) {
	for now := b.most.Load(); now >= 0 && now < most && !b.most.CompareAndSwap(now, most); {
		now = b.most.Load()
	}
}

// Add counts n more bytes, or fewer where n is negative. It does not refuse: see Grants.
func (b *Budget) Add(n int) {
	if b != nil && n != 0 {
		b.used.Add(int64(n))
	}
}

// Grants reports whether one whose mine bytes are counted may hold want bytes instead. That
// may be all that the others leave free, times the square of the part which that is of the
// bound: all of the bound while the others hold nothing, an eighth of it while they hold
// half, a thousandth while they hold nine tenths. Fewer bytes than before are always
// granted. Where several ask at the same moment, each may be told yes for the same room.
func (b *Budget) Grants(mine, want int) bool {
	return b == nil || b.most.Load() < 0 || want <= mine ||
		grants(b.most.Load(), b.used.Load()-int64(mine), want)
}

// GrantsLasting is Grants for want bytes that stay for as long as their holder pleases,
// and are of no use to others meanwhile: they get half of the bound at most.
func (b *Budget) GrantsLasting(want int) bool {
	return b == nil || b.most.Load() < 0 || want <= 0 || grants(b.most.Load()/2, b.used.Load(), want)
}

func grants(most, others int64, want int) bool {
	free := float64(most - max(others, 0))
	part := free / float64(most)
	return free > 0 && float64(want) <= free*part*part
}

// Used returns how many bytes are held.
func (b *Budget) Used() int64 {
	if b == nil {
		return 0
	}
	return b.used.Load()
}

// Most returns the bound; negative for none.
func (b *Budget) Most() int64 {
	if b == nil {
		return -1
	}
	return b.most.Load()
}
