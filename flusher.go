package gateway

import (
	"runtime"
	"runtime/pprof"
	"slices"
	"sync"
	"time"

	"github.com/wsgateway/gateway/internal/lockorder"
)

// How many waiting sockets make a crew hire one more worker. Fewer workers write more
// messages with each system call.
const (
	backlogPerWorker  = 1024
	backlogPerPatient = 8
)

// patientPerCore is how many workers for each core the patient crew has at most that
// are not stuck; it has one more for each that is.
const patientPerCore = 2

// A worker of the patient crew says nothing while it waits for a client. So as long as
// sockets wait, the crew is looked at this often: a worker that is still at the write of
// the look before counts as stuck, and another is hired for it.
const lookAtPatient = time.Millisecond

// A flusher writes what is queued for sockets whose senders do not write
// themselves.
type flusher struct {
	wg      sync.WaitGroup // workers, and the look at the patient crew
	quick   crew           // writes to descriptors, and so never waits for a client
	patient crew           // writes where a write can only block: under TLS, in memory
}

// A crew is a set of workers with the sockets that wait for them. Workers live only while
// there is work; a socket with more than one write's worth goes to the end of the line in
// between, so a long queue delays nobody else's; and a single message waits for one write
// of a large fan-out at most.
type crew struct {
	mu      lockorder.Mutex[rankCrew]
	lines   [2]line // of single sends, and of large fan-outs; served in turn
	turn    int
	waiting int
	workers int

	fanouts int // of the quick crew: large ones that are being queued
	holds   int // of the quick crew: its bulk line waits until several are queued

	// Of the patient crew.
	writing []*worker   // its workers
	stuck   int         // of them, that wait for a client
	looks   uint        // how often it was looked at
	look    *time.Timer // made when first needed
	looked  bool        // look runs
}

// A worker is guarded by its crew's lock.
type worker struct {
	since uint // crew.looks when its write began
	stuck bool
}

const (
	urgent = iota
	bulk
)

// A line is a queue of sockets, linked by Socket.nextFlush.
type line struct{ first, last *Socket }

func (f *flusher) crewOf(s *Socket) *crew {
	if s.conn.raw != nil {
		return &f.quick
	}
	return &f.patient
}

// add has the socket's outbox written. The caller is its writer and passes that
// on, so no socket is here twice.
func (f *flusher) add(s *Socket) {
	c := f.crewOf(s)
	c.mu.Lock()
	c.pushLocked(urgent, s)
	hire := f.hireLocked(c)
	c.mu.Unlock()
	if hire {
		f.start(c, 1)
	}
}

// addAll is add for the sockets of a fan-out.
func (f *flusher) addAll(which int, sockets []*Socket) {
	for _, c := range []*crew{&f.quick, &f.patient} {
		hire := 0
		c.mu.Lock()
		for _, s := range sockets {
			if f.crewOf(s) != c {
				continue
			}
			c.pushLocked(which, s)
			if f.hireLocked(c) {
				hire++
			}
		}
		c.mu.Unlock()
		f.start(c, hire)
	}
}

func (c *crew) pushLocked(which int, s *Socket) {
	l := &c.lines[which]
	if l.last == nil {
		l.first = s
	} else {
		l.last.nextFlush = s
	}
	l.last = s
	c.waiting++
}

// hireLocked reports whether the caller has to start one more worker.
func (f *flusher) hireLocked(c *crew) bool {
	if c.holds > 0 && c.lines[urgent].first == nil {
		return false // the end of the hold hires
	}
	backlog, most := backlogPerWorker, c.mostQuickLocked()
	if c == &f.patient {
		backlog, most = backlogPerPatient, patientPerCore*runtime.GOMAXPROCS(0)+c.stuck
	}
	if able := c.workers - c.stuck; able > 0 && (c.waiting <= backlog*able || able >= most) {
		f.lookLocked(c)
		return false
	}
	c.workers++
	return true
}

// hireAllLocked returns how many workers the caller has to start for those that wait.
func (f *flusher) hireAllLocked(c *crew) (hire int) {
	for c.waiting > 0 && f.hireLocked(c) {
		hire++
	}
	return hire
}

// mostQuickLocked is how many workers write to descriptors: one a core, and one less for
// each large fan-out that is being queued, but half of the cores at least. The sooner a
// fan-out is queued, the more there is for each write to take.
func (c *crew) mostQuickLocked() int {
	cores := runtime.GOMAXPROCS(0)
	return max(cores-c.fanouts, cores/2, 1)
}

// beginFanout and endFanout enclose a large fan-out.
func (f *flusher) beginFanout() {
	f.quick.mu.Lock()
	defer f.quick.mu.Unlock()
	f.quick.fanouts++
}

func (f *flusher) endFanout() {
	c := &f.quick
	c.mu.Lock()
	c.fanouts--
	hire := f.hireAllLocked(c)
	c.mu.Unlock()
	f.start(c, hire)
}

// hold keeps the quick crew from the sockets of fan-outs, because several come one after
// the other, or ends that. Holds are counted.
func (f *flusher) hold(on bool) {
	c := &f.quick
	c.mu.Lock()
	if on {
		c.holds++
		c.mu.Unlock()
		return
	}
	c.holds--
	hire := f.hireAllLocked(c)
	c.mu.Unlock()
	f.start(c, hire)
}

// nextLineLocked is the line whose turn it is, if it has somebody who may be written to.
func (c *crew) nextLineLocked() *line {
	c.turn = 1 - c.turn
	for _, i := range [2]int{c.turn, 1 - c.turn} {
		if l := &c.lines[i]; l.first != nil && (i == urgent || c.holds == 0) {
			return l
		}
	}
	return nil
}

// start starts workers that were hired.
func (f *flusher) start(c *crew, workers int) {
	for range workers {
		f.wg.Go(func() {
			pprof.SetGoroutineLabels(labelWriter)
			f.work(c)
		})
	}
}

func (f *flusher) work(c *crew) {
	w := f.enrol(c)
	for s := f.take(c, w); s != nil; s = f.take(c, w) {
		if s.out.flush(true) {
			f.add(s)
		}
	}
}

// enrol has a worker of the patient crew looked at; those of the other need not be.
func (f *flusher) enrol(c *crew) *worker {
	if c != &f.patient {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.writing)
	if n < cap(c.writing) && c.writing[:n+1][n] != nil {
		c.writing = c.writing[:n+1] // one that has left
	} else {
		c.writing = append(c.writing, new(worker))
	}
	return c.writing[n]
}

// dismissLocked is the opposite of enrol.
func (c *crew) dismissLocked(w *worker) {
	if w == nil {
		return
	}
	last := len(c.writing) - 1
	i := slices.Index(c.writing, w)
	c.writing[i], c.writing[last] = c.writing[last], w
	c.writing = c.writing[:last]
}

// take returns the next socket to a worker, or nil, which ends the worker.
func (f *flusher) take(c *crew, w *worker) *Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w != nil {
		if w.stuck {
			w.stuck = false
			c.stuck--
		}
		w.since = c.looks
	}
	l := c.nextLineLocked()
	if l == nil || c == &f.quick && c.workers > c.mostQuickLocked() {
		c.workers--
		c.dismissLocked(w)
		return nil
	}
	s := l.first
	l.first, s.nextFlush = s.nextFlush, nil
	if l.first == nil {
		l.last = nil
	}
	c.waiting--
	if c.waiting == 0 && c.looked && c.look.Stop() {
		c.looked = false
		f.wg.Done()
	}
	return s
}

// lookLocked starts the timer that checks the patient crew.
func (f *flusher) lookLocked(c *crew) {
	if c != &f.patient || c.looked {
		return
	}
	f.wg.Add(1)
	if c.looked = true; c.look == nil {
		c.look = time.AfterFunc(lookAtPatient, f.lookAtPatient)
	} else {
		c.look.Reset(lookAtPatient)
	}
}

// lookAtPatient hires for the workers of the patient crew that are stuck.
func (f *flusher) lookAtPatient() {
	defer f.wg.Done()
	c := &f.patient
	c.mu.Lock()
	c.looked = false
	for _, w := range c.writing {
		if !w.stuck && w.since < c.looks {
			w.stuck = true
			c.stuck++
		}
	}
	c.looks++
	hire := f.hireAllLocked(c)
	if c.waiting > 0 {
		f.lookLocked(c)
	}
	c.mu.Unlock()
	f.start(c, hire)
}
