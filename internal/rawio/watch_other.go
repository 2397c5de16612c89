//go:build !linux

package rawio

import "errors"

// A Sleeper is told when its connection has something to be read.
type Sleeper interface{ Awake() }

// A Watcher exists on Linux only.
type Watcher struct{}

// NewWatcher fails.
func NewWatcher() (*Watcher, error) { return nil, errors.ErrUnsupported }

func (*Watcher) Close()                     { panic("rawio: not on this system") }
func (*Watcher) Watch(*Conn, Sleeper) error { panic("rawio: not on this system") }
func (*Watcher) Forget(*Conn, Sleeper)      { panic("rawio: not on this system") }
func (*Watcher) Run()                       { panic("rawio: not on this system") }
