package gateway

import (
	"runtime"
	"sync"
)

// backlogPerWorker is how many waiting sockets make a flusher start one more
// worker. Fewer workers write more messages with each system call.
const backlogPerWorker = 1024

// A flusher writes what is queued for sockets whose senders do not write
// themselves. Its workers live only while there is work; a socket with more
// than one write's worth goes to the end of the line in between, so a long
// queue delays nobody else's; and a single message waits for one write of a
// large fan-out at most.
type flusher struct {
	wg sync.WaitGroup // workers

	mu      sync.Mutex
	lines   [2]line // of single sends, and of large fan-outs; served in turn
	turn    int
	waiting int
	workers int
}

const (
	urgent = iota
	bulk
)

// A line is a queue of sockets, linked by Socket.nextFlush.
type line struct{ first, last *Socket }

// add has the socket's outbox written. The caller is its writer and passes that
// on, so no socket is here twice.
func (f *flusher) add(s *Socket) {
	f.mu.Lock()
	f.pushLocked(urgent, s)
	start := f.hireLocked()
	f.mu.Unlock()
	if start {
		f.wg.Go(f.work)
	}
}

// addAll is add for the sockets of a fan-out.
func (f *flusher) addAll(which int, sockets []*Socket) {
	hire := 0
	f.mu.Lock()
	for _, s := range sockets {
		if s.link.raw == nil {
			go s.out.drain()
			continue
		}
		f.pushLocked(which, s)
		if f.hireLocked() {
			hire++
		}
	}
	f.mu.Unlock()
	for range hire {
		f.wg.Go(f.work)
	}
}

func (f *flusher) pushLocked(which int, s *Socket) {
	l := &f.lines[which]
	if l.last == nil {
		l.first = s
	} else {
		l.last.nextFlush = s
	}
	l.last = s
	f.waiting++
}

// hireLocked reports whether the caller has to start one more worker.
func (f *flusher) hireLocked() bool {
	if f.workers > 0 && f.waiting <= backlogPerWorker*f.workers || f.workers >= runtime.GOMAXPROCS(0) {
		return false
	}
	f.workers++
	return true
}

func (f *flusher) work() {
	for s := f.take(); s != nil; s = f.take() {
		if s.out.flush(true) {
			f.add(s)
		}
	}
}

// take returns the next socket; nil ends the worker.
func (f *flusher) take() *Socket {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turn = 1 - f.turn
	l := &f.lines[f.turn]
	if l.first == nil {
		l = &f.lines[1-f.turn]
	}
	s := l.first
	if s == nil {
		f.workers--
		return nil
	}
	l.first, s.nextFlush = s.nextFlush, nil
	if l.first == nil {
		l.last = nil
	}
	f.waiting--
	return s
}
