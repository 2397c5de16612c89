package gateway

import (
	"errors"
	"runtime/pprof"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/wsgateway/gateway/internal/lockorder"
	"github.com/wsgateway/gateway/internal/rawio"
)

// A socket that has been silent for Options.RestAfter goes to rest: its reader ends, and
// with it the goroutine's stack, most of what an idle socket needs. One goroutine waits
// for all that rest, and starts a reader again where something comes. On Linux, and for
// connections with a descriptor of their own or right under TLS.
//
// TLS may have received more than it has given away, and the descriptor reports none of
// that. So a socket rests only when a read that must not wait has brought nothing. Then all
// that TLS holds is the beginning of a record, and the descriptor reports the rest of it.
//
// Who may start the next reader is decided by resting, which the last one sets when it
// has let go of everything that a reader owns, and before its descriptor is watched:
// whoever sets it back to false does. That is the watcher, or who begins to close the
// socket.

const (
	defaultRestAfter = 5 * time.Second
	restsAtOnce      = 32               // readers that are sent to rest before a pause
	restPause        = time.Millisecond // or those who talk would wait for all of them
	restsPerSweep    = 2048             // the others have to wait for the next sweep
	manyReaders      = 256              // with more, a socket rests when it has said its first thing
)

// errRest is what a reader's wait returns when its socket may go to rest.
var errRest = errors.New("gateway: the socket may rest")

// A rester knows who watches the sockets that rest.
type rester struct {
	count   atomic.Int64 // sockets that rest
	refused atomic.Bool  // the system has refused: nobody rests any more

	mu      lockorder.Mutex[rankRester]
	watcher *rawio.Watcher // nil when nobody has rested yet
}

// get returns the watcher, the first time a new one, or nil.
func (r *rester) get(h *Handler) *rawio.Watcher {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.watcher == nil && !r.refused.Load() {
		w, err := rawio.NewWatcher()
		if err != nil {
			r.refused.Store(true)
			return nil
		}
		r.watcher = w
		h.background.Go(func() {
			pprof.SetGoroutineLabels(labelWatcher)
			w.Run()
		}) // ends with stop, and Shutdown waits for it
	}
	return r.watcher
}

// stop ends the watcher when there are no sockets.
func (r *rester) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.watcher != nil {
		r.watcher.Close()
		r.watcher = nil
	}
}

// forget lets go of a socket whose connection is about to be closed.
func (r *rester) forget(s *Socket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.watcher != nil {
		r.watcher.Forget(&s.conn.fd, s)
	}
}

// silentLong reports whether a silence is long enough to rest after.
func (s *Socket) silentLong(silence time.Duration) bool {
	after := s.h.opts.RestAfter
	return after > 0 && silence >= after
}

// restsEarly reports, when the client has said its first thing, whether the socket is to
// rest at once. Most clients say one thing when they have connected, and are silent then.
// The runtime keeps what it needs of each goroutine that ran when most did, 480 bytes; so
// where thousands connect at a time, few of them have one at the same time.
func (s *Socket) restsEarly() bool {
	if s.spoke || !s.conn.frames.idle() {
		return false
	}
	s.spoke = true
	if s.conn.raw == nil || s.h.opts.RestAfter <= 0 {
		return false
	}
	open, _ := s.h.hub.count()
	return int64(open)-s.h.rester.count.Load() > manyReaders
}

// rest sends the socket to rest, for its reader, who has to end when rest reports true:
// somebody else is the reader then, or will be.
func (s *Socket) rest() bool {
	c := &s.conn
	if !c.fd.Valid() || !c.frames.idle() || len(c.in) > 0 || c.ahead.buf != nil || c.err != nil ||
		s.isClosing() || !c.emptied() {
		return false
	}
	s.beforeWait(true)
	w := s.h.rester.get(s.h)
	if w == nil {
		return false
	}
	s.out.forgetTimer()
	c.freeTLS()
	c.endReading()
	s.rested = true
	s.h.rester.count.Add(1)
	s.resting.Store(true)
	// From here on another reader may run.
	err := w.Watch(&c.fd, s)
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		s.h.rester.refused.Store(true)
	}
	if (err != nil || s.isClosing()) && s.stir() {
		c.beginReading()
		return false
	}
	return true
}

// emptied reports whether everything that has come was taken, but for what waits behind the
// descriptor and for a part of a record. If not, it has been now: it is in c.in, or c.err says
// why nothing comes any more.
func (c *conn) emptied() bool {
	if c.raw != nil {
		return true // nothing is between us and the descriptor
	}
	c.wake() // so that the read does not wait
	err := c.readSmall()
	if c.woken(err) {
		return true
	}
	c.nc.SetReadDeadline(time.Time{})
	c.err = err
	return false
}

// stir ends the rest of a socket, and reports whether the caller is to see to it that
// there is a reader.
func (s *Socket) stir() bool {
	if !s.resting.CompareAndSwap(true, false) {
		return false
	}
	s.h.rester.count.Add(-1)
	s.h.sweeper.look(s)
	return true
}

// closedBelow reports whether the socket rests, and somebody else has closed its connection.
// The kernel does not report that to the watcher.
func (s *Socket) closedBelow() bool { return s.known && s.resting.Load() && s.conn.fd.Closed() }

// Awake implements rawio.Sleeper: it gives a socket that rests a reader again.
func (s *Socket) Awake() {
	if s.stir() {
		go func() {
			growStack()
			s.loop()
		}()
	}
}

// doze has the reader of a silent socket go to rest, for the sweeper. It reports whether
// it did anything.
func (s *Socket) doze(now int64) bool {
	reads := s.out.mode.Load() == modeQueue && !s.delays.Load() && s.msgStart.Load() == 0
	if !reads || !s.conn.fd.Valid() || s.resting.Load() || s.h.rester.refused.Load() ||
		!s.silentLong(time.Duration(now-s.lastIn.Load())) {
		return false
	}
	s.dozing.Store(true)
	s.conn.wake()
	return true
}
