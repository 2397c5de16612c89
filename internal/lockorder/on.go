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

var held struct {
	sync.Mutex
	by map[int64][]entry // what each goroutine holds
}

func rankOf[R Rank]() entry {
	var r R
	level, name := r.Rank()
	return entry{level, name}
}

func take[R Rank]() {
	e, id := rankOf[R](), goroutine()
	held.Lock()
	for _, h := range held.by[id] {
		if h.level >= e.level {
			held.Unlock()
			panic(fmt.Sprintf("lockorder: %s (%d) is taken while %s (%d) is held", e.name, e.level, h.name,
				h.level))
		}
	}
	held.Unlock()
	note[R]()
}

func note[R Rank]() {
	id := goroutine()
	held.Lock()
	defer held.Unlock()
	if held.by == nil {
		held.by = map[int64][]entry{}
	}
	held.by[id] = append(held.by[id], rankOf[R]())
}

func give[R Rank]() {
	e, id := rankOf[R](), goroutine()
	held.Lock()
	defer held.Unlock()
	list := held.by[id]
	for i := len(list) - 1; i >= 0; i-- {
		if list[i] == e {
			list = append(list[:i], list[i+1:]...)
			break
		}
	}
	if len(list) == 0 {
		delete(held.by, id)
		return
	}
	held.by[id] = list
}

// Held returns the name of a lock that the calling goroutine holds, or "" if it holds none.
func Held() string {
	id := goroutine()
	held.Lock()
	defer held.Unlock()
	if list := held.by[id]; len(list) > 0 {
		return list[len(list)-1].name
	}
	return ""
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
