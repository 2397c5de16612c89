//go:build !lockorder

package lockorder

import "sync"

// A Mutex is a sync.Mutex of a rank.
type Mutex[R Rank] struct{ sync.Mutex }

// A RWMutex is a sync.RWMutex of a rank.
type RWMutex[R Rank] struct{ sync.RWMutex }

// Checked reports whether the order is checked.
const Checked = false

// Held returns the name of a lock that the calling goroutine holds, or "" if it holds none;
// only where Checked.
func Held() string { return "" }
