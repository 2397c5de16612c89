// Package budget counts what many hold together against one bound.
package budget

import "sync/atomic"

// A Budget is a number of bytes that are held, and how many may be. Its methods are safe
// from any goroutine. A nil Budget has no bound and counts nothing.
type Budget struct {
	used atomic.Int64
	most int64
}

// New returns a Budget of most bytes; negative means no bound.
func New(most int64) *Budget { return &Budget{most: most} }

// Add counts n more bytes, or fewer where n is negative. It does not refuse: see Fits.
func (b *Budget) Add(n int) {
	if b != nil && n != 0 {
		b.used.Add(int64(n))
	}
}

// Fits reports whether n more bytes are within the bound. Where several ask at the same
// moment, each may be told yes for the same room.
func (b *Budget) Fits(n int) bool {
	return b == nil || b.most < 0 || n <= 0 || b.used.Load()+int64(n) <= b.most
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
	return b.most
}
