package keystore

import (
	"container/heap"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua/keystore/internal/rules"
)

// An entry is one key and what it holds: a value as of encoding/json, a hash,
// a *list or a set.
type entry struct {
	key     string
	value   any
	size    int // of key and value
	expires time.Time
	index   int // in the heap of expiries; -1: it does not expire
}

// lock returns the unlock. Whatever has expired is gone before an operation
// sees anything, so none needs to ask.
func (s *Store) lock() (unlock func()) {
	s.mu.Lock()
	for now := time.Now(); len(s.due) > 0 && !s.due[0].expires.After(now); {
		s.remove(s.due[0])
	}
	return s.mu.Unlock
}

// find returns the entry of a key, nil if there is none.
func (s *Store) find(key string) (*entry, error) {
	if err := rules.CheckKey(key); err != nil {
		return nil, err
	}
	return s.entries[key], nil
}

// put makes value, of the given size, what the key holds; e is its entry, or
// nil. On error nothing has changed.
func (s *Store) put(key string, e *entry, value any, size int) (*entry, error) {
	if size > s.opts.MaxValueBytes {
		return nil,
			gateway.NewError(gateway.ErrTooLarge, "key %.80q: the value has %d bytes, expected at most %d",
				key, size, s.opts.MaxValueBytes)
	}
	size += len(key) + rules.PartSize
	grow := size
	if e != nil {
		grow -= e.size
	}
	if e == nil && len(s.entries) >= s.opts.MaxKeys || grow > 0 && s.bytes+grow > s.opts.MaxBytes {
		return nil, ErrFull
	}
	if e == nil {
		e = &entry{key: key, index: -1}
		s.entries[key] = e
		s.order.add(key)
	}
	s.bytes += grow
	e.value, e.size = value, size
	return e, nil
}

// remove forgets e, which may be nil.
func (s *Store) remove(e *entry) {
	if e == nil {
		return
	}
	s.expireAt(e, time.Time{})
	s.bytes -= e.size
	delete(s.entries, e.key)
	s.order.remove(s.entries)
}

// expireAt sets when e expires; the zero time is never.
func (s *Store) expireAt(e *entry, t time.Time) {
	e.expires = t
	switch {
	case e.index >= 0 && t.IsZero():
		heap.Remove(&s.due, e.index)
	case e.index >= 0:
		heap.Fix(&s.due, e.index)
	case !t.IsZero():
		heap.Push(&s.due, e)
	}
}

// expiries is a heap of entries, the one that expires next first.
type expiries []*entry

func (x expiries) Len() int           { return len(x) }
func (x expiries) Less(i, j int) bool { return x[i].expires.Before(x[j].expires) }

func (x expiries) Swap(i, j int) {
	x[i], x[j] = x[j], x[i]
	x[i].index, x[j].index = i, j
}

func (x *expiries) Push(v any) {
	e := v.(*entry)
	e.index = len(*x)
	*x = append(*x, e)
}

func (x *expiries) Pop() any {
	last := len(*x) - 1
	e := (*x)[last]
	e.index = -1
	(*x)[last] = nil
	*x = (*x)[:last]
	return e
}
