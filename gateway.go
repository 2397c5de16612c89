package gateway

import (
	"context"
	"crypto/rand"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsgateway/gateway/internal/forwarded"
	"github.com/wsgateway/gateway/internal/ws"
)

// nodeLen is the length of a node's name, with which all its socket ids begin.
const nodeLen = 10

// A Handler is the gateway: an http.Handler that upgrades requests to sockets,
// owns their registry and the route table, and carries out the operations. Its
// methods are safe from any goroutine.
type Handler struct {
	// Immutable.
	opts   Options // with defaults filled in
	log    *slog.Logger
	logs   logger // behind log
	node   string
	epoch  time.Time
	secret []string // Options.RedactHeaders in canonical form
	trust  forwarded.Trust

	hub      hub
	groups   groups
	everyone group // All
	routes   routes
	flusher  flusher
	turns    turns
	sweeper  sweeper
	rester   rester
	memory   memory
	refused  counts[string] // requests that met no route, by error type
	counted  allRouteStats
	tracers  tracers                      // of routes and groups
	plain    atomic.Pointer[net.Listener] // that of the latest request, if it is net's own

	background sync.WaitGroup // sweepers
	notReady   atomic.Bool

	hardStop context.Context // of close events; ends when Shutdown gives up
	giveUp   context.CancelFunc
}

// New returns a gateway without routes. Nil options are all defaults; an option
// that can only be a mistake panics. New does no I/O and cannot fail.
func New(opts *Options) *Handler {
	var o Options
	if opts != nil {
		o = *opts
	}
	if err := o.Limits.check(); err != nil {
		panic("gateway: Options: " + err.Error())
	}
	h := &Handler{
		logs: newLogger(o.Logger, o.LogsPerSecond),
		node: strings.ToLower(rand.Text()[:nodeLen]), epoch: time.Now(),
	}
	h.log = slog.New(h.logs)
	for _, name := range o.RedactHeaders {
		if !isToken(name) { // it would be shown
			panic(fmt.Sprintf("gateway: Options.RedactHeaders: %q is no header's name", name))
		}
		h.secret = append(h.secret, textproto.CanonicalMIMEHeaderKey(name))
	}
	o.AllowOrigins = checkAllowOrigins(o.AllowOrigins)
	h.trust = checkTrust(&o)
	o.KeepMessage = or(o.KeepMessage, defaultKeepMessage)
	o.MaxSockets = or(o.MaxSockets, defaultMaxSockets)
	o.MaxSocketsPerAddr = or(o.MaxSocketsPerAddr, defaultMaxSocketsPerAddr)
	o.MaxGroupsPerSocket = or(o.MaxGroupsPerSocket, defaultMaxGroups)
	o.RestAfter = or(o.RestAfter, defaultRestAfter)
	o.MaxQueuedBytes = or(o.MaxQueuedBytes, defaultMaxQueuedBytes)
	h.memory.fits = o.MaxReceivingBytes == 0
	o.MaxReceivingBytes = or(o.MaxReceivingBytes, defaultMaxReceivingBytes)
	o.Limits = o.Limits.over(defaultLimits)
	h.opts = o
	h.memory.init(&o)
	h.turns = newTurns()
	h.sweeper.h = h
	h.groups.seed = maphash.MakeSeed()
	h.hardStop, h.giveUp = context.WithCancel(context.Background())
	h.bindEngine()
	return h
}

// since returns the time in nanoseconds since New, at least 1.
func (h *Handler) since(t time.Time) int64 { return max(1, int64(t.Sub(h.epoch))) }

// ServeHTTP upgrades the request to a socket, or answers with the error object as JSON,
// see [Error]. It returns right after the upgrade; the socket continues in a goroutine of
// its own. It never redirects.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h.upgrade(w, r); err != nil {
		h.refuse(w, r, err)
	}
}

func (h *Handler) upgrade(w http.ResponseWriter, r *http.Request) *Error {
	rt, path, err := h.match(r)
	if err != nil {
		return err
	}
	up, err := checkUpgrade(r)
	if err != nil {
		return err
	}
	c := h.clientOf(r)
	if err := h.checkOrigin(r, &c); err != nil {
		return err
	}
	hj, err := hijackerOf(w)
	if err != nil {
		h.log.Error("upgrade impossible", "error", err.Message)
		return err
	}
	if err := h.hub.reserve(h, &c); err != nil {
		return err
	}
	opened := false
	var s *Socket
	defer func() { // also when Authorize panics
		if !opened {
			h.hub.withdraw(c.Addr, c.Exempt)
			if s != nil {
				s.freeRequest()
			}
		}
	}()
	admit, err := h.authorize(rt, path, r, &c)
	if err != nil {
		return err
	}
	if up.subprotocol, err = h.subprotocol(rt, admit, r); err != nil {
		return err
	}
	if h.opts.Compression {
		up.extension = ws.AcceptDeflate(r.Header["Sec-Websocket-Extensions"])
	}
	s = h.newSocket(rt, newRequest(r, &c, path, up.subprotocol), admit, baseContext(r))
	if err := h.chargeRequest(s); err != nil {
		return err
	}
	conn, brw, hijackErr := hj.Hijack()
	if hijackErr != nil {
		err := hijackFailed(hj, hijackErr)
		h.log.Error("upgrade impossible", "error", err.Message)
		return err
	}
	early, _ := brw.Reader.Peek(brw.Reader.Buffered())
	s.conn.init(s, conn, h.aloneWith(r, hj), early, up.extension != "")
	opened = true
	answer := scratches.Get().(*scratch)
	defer scratches.Put(answer)
	h.open(s, up.appendResponse(answer.own[:0], w.Header(), admit.header()))
	return nil
}

func (h *Handler) newSocket(rt *boundRoute, req request, admit *Admission,

	base context.Context) *Socket {
	if admit != nil && admit.Context != nil {
		base = admit.Context
	}
	s := &Socket{h: h, id: h.newID(), route: rt, req: req, opened: time.Now()}
	s.admitted.Store(admit)
	s.traffic = rt.stats.trafficOf(s.id)
	s.out.s, s.out.queue.Budget = s, h.memory.queued.Budget
	s.all.socket.Store(s)
	s.ctx.s, s.ctx.base = s, base
	s.last = latest{event: EventOpen, at: s.opened.UnixNano()}
	now := h.since(s.opened)
	s.lastIn.Store(now)
	s.lastMsg.Store(now)
	return s
}

// newID returns the id of a new socket: the node's name and 128 random bits.
func (h *Handler) newID() string {
	id := append(make([]byte, 0, nodeLen+randomLen), h.node...)
	r := randoms.Get().(*random)
	defer randoms.Put(r)
	for _, c := range r.next() {
		id = append(id, "abcdefghijklmnopqrstuvwxyz234567"[c%32])
	}
	return string(id)
}

const (
	randomLen = 26 // characters of 5 random bits
	idsAtOnce = 32
)

// A random is random bytes for the next ids, none of which is used twice: one call of the
// system for several ids.
type random struct {
	bytes [idsAtOnce * randomLen]byte
	left  int
}

var randoms = sync.Pool{New: func() any { return new(random) }}

// next returns random bytes, valid until the next call.
func (r *random) next() []byte {
	if r.left == 0 {
		rand.Read(r.bytes[:]) // never fails
		r.left = len(r.bytes)
	}
	r.left -= randomLen
	return r.bytes[r.left : r.left+randomLen]
}

// open registers the socket, completes the handshake and starts the socket's life. From
// here on a failure ends the socket; there is no HTTP answer any more.
func (h *Handler) open(s *Socket, answer []byte) {
	s.out.begin(answer)
	h.everyone.add(&s.all)
	s.joinAdmitted()
	h.hub.add(s)
	h.hub.opened()
	s.traceOpened()
	h.sweeper.add(s)
	s.route.stats.open.Add(1)
	s.route.stats.opened.Add(1)
	s.checkRoute() // Replace may have looked before the socket was there
	if end, late := h.hub.lateEnd(); late {
		s.close(end)
	}
	if s.conn.raw != nil {
		// Here, where the stack is large already: that of the new goroutine would have to
		// grow for it. Nothing waits for this client yet, so the write does not block.
		s.out.writeAnswer(answer)
	}
	go s.run() // ends with hub.release, for which Shutdown waits
}

// ServeHealth answers 200 and "OK", or 503 once the gateway drains or shuts down, or after
// SetReady(false). Mount it at /api/v1/solution/health.
func (h *Handler) ServeHealth(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	status, text := http.StatusOK, "OK"
	if h.notReady.Load() || h.hub.refuses() {
		status, text = http.StatusServiceUnavailable, "not ready"
	}
	w.WriteHeader(status)
	fmt.Fprint(w, text)
}

// SetReady sets what ServeHealth says, and nothing else: new sockets are accepted and open
// ones stay.
func (h *Handler) SetReady(ready bool) { h.notReady.Store(!ready) }

// Shutdown refuses new sockets with 503, turns ServeHealth to 503, closes every
// socket with 1001, cause drain, and returns when the close events of all have
// returned. If ctx ends first, the remaining connections are cut, the contexts
// of their close events end, and the error, of type timeout, says how many there
// were. Shutdown may be called again.
//
// It waits for what the sockets' endpoints do, so they cannot call it: from inside an
// event, a function of [Socket.Go] or Authorize it changes nothing and fails with
// ErrInvalid. There, call it in a goroutine of its own, with a context of its own, and
// do not wait for that.
//
// http.Server.Shutdown neither sees nor closes sockets: call Shutdown first.
func (h *Handler) Shutdown(ctx context.Context) error {
	if err := h.checkOutside(ctx, "Shutdown"); err != nil {
		return err
	}
	h.hub.close()
	for s := range h.hub.all() {
		s.close(Closed{Cause: CauseDrain, Code: closeGoingAway})
	}
	select {
	case <-h.hub.idle():
		h.sweeper.stop()
		h.background.Wait()
		h.flusher.wg.Wait()
		h.logs.bursts.flush(h.logs.tellLeft)
		h.giveUp()
		return h.closeEngine(ctx)
	case <-ctx.Done():
	}
	n, requests := h.hub.count()
	h.giveUp()
	h.closeEngine(ctx) // ctx has ended: it says good-bye and waits for nothing
	for s := range h.hub.all() {
		s.conn.abort(true)
	}
	if n == 0 && requests > 0 {
		return NewError(ErrTimeout, "shutdown: Authorize has not decided over %d requests in time: %w",
			requests, context.Cause(ctx))
	}
	return NewError(ErrTimeout, "shutdown: %d sockets were not closed in time and have been cut: %w",
		n, context.Cause(ctx))
}
