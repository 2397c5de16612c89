//go:build lockorder

package lockorder

import (
	"bytes"
	"fmt"
	"runtime"
	"strconv"
	"sync"
)

// Checked reports whether the order is checked.
const Checked = true

// A Mutex is a sync.Mutex of a rank.
type Mutex[R Rank] struct{ mu sync.Mutex }

// Lock locks, or panics where the order forbids it.
func (m *Mutex[R]) Lock() { take[R](); m.mu.Lock() }

// Unlock unlocks.
func (m *Mutex[R]) Unlock() { m.mu.Unlock(); give[R]() }

// TryLock tries to lock. It cannot deadlock, so the order does not matter to it.
func (m *Mutex[R]) TryLock() bool {
	if !m.mu.TryLock() {
		return false
	}
	note[R]()
	return true
}

// A RWMutex is a sync.RWMutex of a rank.
type RWMutex[R Rank] struct{ mu sync.RWMutex }

// Lock locks, or panics where the order forbids it.
func (m *RWMutex[R]) Lock() { take[R](); m.mu.Lock() }

// Unlock unlocks.
func (m *RWMutex[R]) Unlock() { m.mu.Unlock(); give[R]() }

// RLock locks for reading, or panics where the order forbids it.
func (m *RWMutex[R]) RLock() { take[R](); m.mu.RLock() }

// RUnlock unlocks.
func (m *RWMutex[R]) RUnlock() { m.mu.RUnlock(); give[R]() }

type entry struct {
	level int
	name  string
}

// held is what each goroutine holds. Only itself looks at that, but for the map: there are
// many, so that those who lock at the same time do not wait for each other here.
var held [64]struct {
	sync.Mutex
	by map[int64][]entry
}

func rankOf[R Rank]() entry {
	var r R
	level, name := r.Rank()
	return entry{level, name}
}

// change replaces what the calling goroutine holds.
func change(fn func(list []entry) []entry) {
	id := goroutine()
	h := &held[id%int64(len(held))]
	h.Lock()
	defer h.Unlock()
	list := fn(h.by[id])
	switch {
	case len(list) == 0:
		delete(h.by, id)
		return
	case h.by == nil:
		h.by = map[int64][]entry{}
	}
	h.by[id] = list
}

func take[R Rank]() {
	e := rankOf[R]()
	change(func(list []entry) []entry {
		for _, h := range list {
			if h.level >= e.level {
				panic(fmt.Sprintf("lockorder: %s (%d) is taken while %s (%d) is held", e.name, e.level,
					h.name, h.level))
			}
		}
		return append(list, e)
	})
}

func note[R Rank]() {
	change(func(list []entry) []entry { return append(list, rankOf[R]()) })
}

func give[R Rank]() {
	e := rankOf[R]()
	change(func(list []entry) []entry {
		for i := len(list) - 1; i >= 0; i-- {
			if list[i] == e {
				return append(list[:i], list[i+1:]...)
			}
		}
		return list
	})
}

// Held returns the name of a lock that the calling goroutine holds, or "" if it holds none.
func Held() (name string) {
	change(func(list []entry) []entry {
		if len(list) > 0 {
			name = list[len(list)-1].name
		}
		return list
	})
	return name
}

// goroutine returns the number of the running goroutine, as stack traces name it.
func goroutine() int64 {
	var buf [64]byte
	line := bytes.TrimPrefix(buf[:runtime.Stack(buf[:], false)], []byte("goroutine "))
	id, _, _ := bytes.Cut(line, []byte(" "))
	n, err := strconv.ParseInt(string(id), 10, 64)
	if err != nil {
		panic("lockorder: a stack trace without a goroutine's number")
	}
	return n
}
