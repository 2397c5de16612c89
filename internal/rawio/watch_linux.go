package rawio

import (
	"errors"
	"os"
	"slices"
	"sync"
	"syscall"
)

// A Sleeper is told when its connection has something to be read.
type Sleeper interface{ Awake() }

// A Watcher waits for many idle connections at once, in one goroutine: with an epoll
// instance that lies itself in the runtime's poller. Its methods are safe from any
// goroutine.
type Watcher struct {
	file *os.File
	rc   syscall.RawConn

	mu  sync.Mutex
	who []Sleeper // by descriptor; those that sleep, or have
}

// NewWatcher makes one, or fails where the system refuses.
func NewWatcher() (*Watcher, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // or os.NewFile keeps it out of the poller
		syscall.Close(fd)
		return nil, err
	}
	w := &Watcher{file: os.NewFile(uintptr(fd), "epoll of idle connections")}
	if w.rc, err = w.file.SyscallConn(); err != nil {
		w.file.Close()
		return nil, err
	}
	return w, nil
}

// Close ends Run. Nobody is woken any more.
func (w *Watcher) Close() { w.file.Close() }

// errClosed is what Watch says of a connection that is closed, or a Watcher.
var errClosed = errors.New("rawio: closed")

// Watch has s woken by Run, once, when there is something to be read from the connection,
// or it has ended; s may also be woken for nothing. Nobody reads meanwhile. Where s was woken
// by somebody else, and sleeps again, two calls may be under way. It fails where the system
// refuses.
func (w *Watcher) Watch(c *Conn, s Sleeper) error {
	err := errClosed
	c.rc.Control(func(fd uintptr) {
		known := w.remember(int(fd), s)
		w.rc.Control(func(epoll uintptr) { err = arm(int(epoll), int(fd), known) })
	})
	return err
}

// arm watches a descriptor for one event. Level-triggered, it misses nothing that came
// before. One that has been watched is known still: the kernel forgets it at its close.
func arm(epoll, fd int, known bool) error {
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT,
		Fd: int32(fd)}
	op := syscall.EPOLL_CTL_ADD
	if known {
		op = syscall.EPOLL_CTL_MOD
	}
	for {
		switch err := syscall.EpollCtl(epoll, op, fd, &ev); err {
		case syscall.EEXIST: // two watch it at once for the first time, see Watch
			op = syscall.EPOLL_CTL_MOD
		case syscall.ENOENT:
			op = syscall.EPOLL_CTL_ADD
		default:
			return err
		}
	}
}

// remember notes who sleeps, and reports whether that is who did last with the descriptor.
func (w *Watcher) remember(fd int, s Sleeper) (known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.who) <= fd {
		w.who = append(w.who, nil)
	}
	known, w.who[fd] = w.who[fd] == s, s
	return known
}

// Forget lets go of s and its connection, which is about to be closed, or was by somebody
// else: its number may be another's by then, so s is looked for.
func (w *Watcher) Forget(c *Conn, s Sleeper) {
	at := -1
	c.rc.Control(func(fd uintptr) { at = int(fd) })
	w.mu.Lock()
	defer w.mu.Unlock()
	if at < 0 {
		at = slices.Index(w.who, s)
	}
	if at >= 0 && at < len(w.who) && w.who[at] == s {
		w.who[at] = nil
	}
}

// Run wakes those whose connections have something, until Close.
func (w *Watcher) Run() {
	var events [128]syscall.EpollEvent
	var some [len(events)]Sleeper
	for {
		n := 0
		err := w.rc.Read(func(fd uintptr) bool {
			var err error
			for n, err = syscall.EpollWait(int(fd), events[:], 0); err == syscall.EINTR; {
				n, err = syscall.EpollWait(int(fd), events[:], 0)
			}
			return n != 0
		})
		if err != nil {
			return
		}
		w.mu.Lock()
		for i, ev := range events[:max(n, 0)] {
			some[i] = w.who[ev.Fd]
		}
		w.mu.Unlock()
		for i, s := range some[:max(n, 0)] {
			if s != nil {
				s.Awake()
			}
			some[i] = nil
		}
	}
}
