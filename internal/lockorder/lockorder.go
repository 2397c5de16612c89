// Package lockorder names the order in which locks may be taken. Its mutexes are those
// of package sync and cost nothing more, unless the program is built with the tag
// lockorder: then each Lock panics where a lock of the same or a higher level is held
// by its goroutine already, which is what could become a deadlock.
package lockorder

// A Rank is the place of a lock in the order. It is a type of no size, so that a lock
// needs no memory for it.
type Rank interface {
	// Rank returns the level, which is higher than those of all locks that may be
	// held when this one is taken, and the lock's name for the panic.
	Rank() (level int, name string)
}
