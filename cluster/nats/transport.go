package nats

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/wsgateway/gateway/cluster"
)

// Subjects, all below the prefix:
//
//	n.NAME.f           frames for a node
//	n.NAME.u.TO.NUMBER where the server answers if nobody listens to a frame that this
//	                   node has sent; nothing is published there
//	n.NAME.p.NONCE     where an answer comes if another node has the name already
//	beat               signs of life, to everybody
//
// A node subscribes once to n.NAME.>, so that everything meant for it comes through one
// subscription, which NATS delivers in order and one by one, and to beat.

// A transport is one node's connection.
type transport struct {
	url     string
	opts    Options
	subject string // of a node, without its name
	beats   string // subject of signs of life

	// Set by Start.
	name   string
	h      cluster.Handler
	nc     *nats.Conn
	before error // the last error of the connection before Start, which is none of ours
	subs   []*nats.Subscription
	status chan nats.Status
	watch  sync.WaitGroup // of status

	gate gate
	once sync.Once
	err  error // of Close
}

// A gate lets calls of the handler through until it is shut.
type gate struct {
	mu     sync.Mutex
	shut   bool
	inside sync.WaitGroup
}

// enter reports whether the gate is open. Whoever has entered leaves.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return false
	}
	g.inside.Add(1)
	return true
}

func (g *gate) close() {
	g.mu.Lock()
	g.shut = true
	g.mu.Unlock()
	g.inside.Wait()
}

// Start connects, see [cluster.Transport].
func (t *transport) Start(ctx context.Context, name string, h cluster.Handler) (err error) {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	t.name, t.h = name, h
	if err := t.connect(ctx); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			t.stop()
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if s := t.nc.Status(); s == nats.CLOSED || s == nats.DISCONNECTED {
		return fmt.Errorf("nats: Options.Conn is not connected, it is %s", s)
	}
	t.before = t.nc.LastError()
	if !t.nc.HeadersSupported() {
		return errors.New("nats: the server is too old: it must support headers (2.2 or later), with " +
			"which it says that nobody listens")
	}
	if err := t.askForName(ctx); err != nil {
		return err
	}
	if err := t.subscribe(t.beats, t.beat); err != nil {
		return err
	}
	if err := t.subscribe(t.subject+t.name+".>", t.receive); err != nil {
		return err
	}
	// What is not allowed the server says before it answers the ping of a flush.
	for _, subject := range []string{t.beats, t.subject + t.name + ".f"} {
		if err := t.nc.Publish(subject, nil); err != nil {
			return fmt.Errorf("nats: publish to %s: %w", subject, err)
		}
	}
	if err := t.flush(ctx); err != nil {
		return err
	}
	t.status = t.nc.StatusChanged(nats.CONNECTED, nats.RECONNECTING, nats.CLOSED)
	t.watch.Go(t.watchStatus)
	return nil
}

// startTime bounds each wait for the server in Start.
const startTime = 10 * time.Second

func (t *transport) subscribe(subject string, fn nats.MsgHandler) error {
	sub, err := t.nc.Subscribe(subject, fn)
	if err != nil {
		return fmt.Errorf("nats: subscribe to %s: %w", subject, err)
	}
	t.subs = append(t.subs, sub)
	if err := sub.SetPendingLimits(t.opts.MaxPendingMessages, t.opts.MaxPendingBytes); err != nil {
		return fmt.Errorf("nats: subscribe to %s: %w", subject, err)
	}
	return nil
}

// flush waits until the server has seen everything, and fails if it has refused some of
// it.
func (t *transport) flush(ctx context.Context) error {
	if err := t.nc.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("nats: the server does not answer: %w", err)
	}
	err := t.nc.LastError()
	if errors.Is(err, nats.ErrPermissionViolation) && err != t.before && strings.Contains(err.Error(),
		t.opts.Prefix+".") {
		return fmt.Errorf("nats: a permission is missing (publish and subscribe to %s.> are needed): %w",
			t.opts.Prefix, err)
	}
	return nil
}

// askForName asks whether somebody listens under the name of this node.
func (t *transport) askForName(ctx context.Context) error {
	where := t.subject + t.name + ".p." + strconv.FormatInt(time.Now().UnixNano(), 36)
	sub, err := t.nc.SubscribeSync(where)
	if err != nil {
		return fmt.Errorf("nats: subscribe to %s: %w", where, err)
	}
	defer sub.Unsubscribe()
	if err := t.nc.PublishRequest(t.subject+t.name+".f", where, nil); err != nil {
		return fmt.Errorf("nats: publish to %s.f: %w", t.subject+t.name, err)
	}
	if err := t.flush(ctx); err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, nameTime)
	defer cancel()
	_, err = sub.NextMsgWithContext(short)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil
	case err == nil || errors.Is(err, context.DeadlineExceeded): // somebody listens and may be busy
		return fmt.Errorf("nats: %s: %w", t.name, cluster.ErrNameTaken)
	}
	return fmt.Errorf("nats: ask for the name %s: %w", t.name, err)
}

// nameTime is how long an answer is waited for from a node that may have the name.
const nameTime = 2 * time.Second

// receive takes what comes below the node's own subject.
func (t *transport) receive(m *nats.Msg) {
	if !t.gate.enter() {
		return
	}
	defer t.gate.inside.Done()
	rest := m.Subject[len(t.subject)+len(t.name)+1:]
	switch {
	case rest == "f" && len(m.Data) > 0:
		t.h.Frame(m.Data)
	case rest == "f" && m.Reply != "": // somebody asks for the name
		t.nc.Publish(m.Reply, []byte("taken"))
	case strings.HasPrefix(rest, "u.") && m.Header.Get("Status") == "503":
		to, text, _ := strings.Cut(rest[2:], ".")
		if number, err := strconv.ParseUint(text, 36, 64); err == nil {
			t.h.Undelivered(to, number)
		}
	}
}

func (t *transport) beat(m *nats.Msg) {
	if len(m.Data) > 0 && t.gate.enter() {
		defer t.gate.inside.Done()
		t.h.Beat(m.Data)
	}
}

// watchStatus tells the handler of lost and new connections.
func (t *transport) watchStatus() {
	for s := range t.status {
		if !t.gate.enter() {
			continue // until stop closes the channel
		}
		if s == nats.CONNECTED {
			t.h.State(true, nil)
		} else {
			t.h.State(false, t.cause(s))
		}
		t.gate.inside.Done()
	}
}

// cause says why there is no connection. NATS does not know it of one that was closed here.
func (t *transport) cause(s nats.Status) error {
	switch err := t.nc.LastError(); {
	case s == nats.CLOSED:
		return fmt.Errorf("%w: the connection was closed, and nothing brings it back", cluster.ErrDown)
	case err == nil:
		return cluster.ErrDown
	default:
		return err
	}
}

// Send hands over a frame, see [cluster.Transport].
func (t *transport) Send(to string, number uint64, frame []byte) error {
	if !t.nc.IsConnected() || t.isShut() {
		return cluster.ErrDown // a connection of the program's own may keep it for later
	}
	var few [160 + 2*maxPrefix]byte
	reply := append(append(append(few[:0], t.subject...), t.name...), ".u."...)
	reply = strconv.AppendUint(append(append(reply, to...), '.'), number, 36)
	return t.result(t.nc.PublishRequest(t.subject+to+".f", string(reply), frame))
}

func (t *transport) isShut() bool {
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	return t.gate.shut
}

// Beat hands over a sign of life, see [cluster.Transport].
func (t *transport) Beat(frame []byte) error {
	if !t.nc.IsConnected() || t.isShut() {
		return cluster.ErrDown
	}
	return t.result(t.nc.Publish(t.beats, frame))
}

// result says what an error of NATS means for the frame.
func (t *transport) result(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, nats.ErrMaxPayload) {
		return fmt.Errorf("%w: %w", cluster.ErrFrameSize, err)
	}
	for _, notSent := range []error{
		nats.ErrConnectionClosed, nats.ErrReconnectBufExceeded, nats.ErrConnectionDraining,
		nats.ErrDisconnected, nats.ErrConnectionReconnecting, nats.ErrBadSubject,
		nats.ErrInvalidConnection,
	} {
		if errors.Is(err, notSent) {
			return fmt.Errorf("%w: %w", cluster.ErrDown, err)
		}
	}
	return err
}

// MaxFrame is the server's max_payload.
func (t *transport) MaxFrame() int { return int(t.nc.MaxPayload()) }

// Close disconnects, see [cluster.Transport].
func (t *transport) Close(ctx context.Context) error {
	if t.nc == nil {
		return nil
	}
	t.once.Do(func() {
		if t.nc.IsConnected() {
			ctx, cancel := context.WithTimeout(ctx, startTime)
			defer cancel()
			err := t.nc.FlushWithContext(ctx)
			if err != nil && t.nc.IsConnected() { // or there is nobody to send it to
				t.err = fmt.Errorf("nats: what was sent last may be lost: %w", err)
			}
			t.unsubscribe()
			t.nc.FlushWithContext(ctx) // from now on the server says that nobody listens
		}
		t.stop()
	})
	return t.err
}

func (t *transport) unsubscribe() {
	for _, sub := range t.subs {
		sub.Unsubscribe() // fails where there is nothing to end
	}
	t.subs = nil
}

// stop ends what Start has begun.
func (t *transport) stop() {
	t.unsubscribe()
	t.gate.close()
	if t.status != nil {
		t.nc.RemoveStatusListener(t.status)
		t.watch.Wait()
	}
	if t.opts.Conn == nil {
		t.nc.Close()
	}
}
