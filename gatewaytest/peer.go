package gatewaytest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/wsgateway/gateway"
)

// A Peer is a client of the gateway. It reads all the time, as a browser does,
// and answers pings. Its methods fail the test that made it. Call them from that
// test's goroutine; only Cut, Stall, Resume and Empty may be called from others.
type Peer struct {
	tb   testing.TB
	ws   *websocket.Conn
	conn *conn

	mu       sync.Mutex
	changed  sync.Cond
	received []gateway.Message // guarded by mu
	code     int               // once the socket is closed; guarded by mu
	reason   string            // guarded by mu
}

func newPeer(tb testing.TB, ws *websocket.Conn, c *conn) *Peer {
	p := &Peer{tb: tb, ws: ws, conn: c}
	p.changed.L = &p.mu
	ws.SetReadLimit(-1)
	var reading sync.WaitGroup
	reading.Go(p.read)
	tb.Cleanup(func() {
		p.Cut()
		reading.Wait()
		ws.CloseNow()
	})
	return p
}

func (p *Peer) read() {
	for {
		t, data, err := p.ws.Read(context.Background())
		p.mu.Lock()
		if err == nil {
			p.received = append(p.received, gateway.Message{Type: gateway.MessageType(t), Data: data})
		} else {
			p.code = 1006
			var closed websocket.CloseError
			if errors.As(err, &closed) {
				p.code, p.reason = int(closed.Code), closed.Reason
			}
		}
		p.changed.Broadcast()
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Send sends a message, without its Key. It returns when the message is in the
// connection; the gateway may not have read it yet.
func (p *Peer) Send(m gateway.Message) {
	p.tb.Helper()
	if m.Type != gateway.MessageText && m.Type != gateway.MessageBinary {
		p.tb.Fatalf("gatewaytest: send: the message has no type: use gateway.Text or gateway.Binary")
	}
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := p.ws.Write(ctx, websocket.MessageType(m.Type), m.Data); err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.code != 0 {
			p.tb.Fatalf("gatewaytest: send: the socket is closed with %d %q", p.code, p.reason)
		}
		p.tb.Fatalf("gatewaytest: send: %v", err)
	}
}

// Receive waits for the next message and returns it. It fails the test if none
// comes within [Patience], or if the socket is closed and all were received.
func (p *Peer) Receive() gateway.Message {
	p.tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wait(func() bool { return len(p.received) > 0 || p.code != 0 })
	if len(p.received) == 0 {
		if p.code != 0 {
			p.tb.Fatalf("gatewaytest: receive: the socket is closed with %d %q", p.code, p.reason)
		}
		p.tb.Fatalf("gatewaytest: receive: no message within %v", Patience)
	}
	m := p.received[0]
	p.received = p.received[1:]
	return m
}

// Empty reports whether every message that has come was received. In a synctest
// bubble, call synctest.Wait before.
func (p *Peer) Empty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.received) == 0
}

// Closed waits until the socket is closed and returns the code and reason of the
// gateway's close frame: 1005 if it had none, 1006 if there was none. It fails the
// test if the socket is open for longer than [Patience]. Messages that came before
// can still be received.
func (p *Peer) Closed() (code int, reason string) {
	p.tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wait(func() bool { return p.code != 0 })
	if p.code == 0 {
		p.tb.Fatalf("gatewaytest: closed: still open after %v", Patience)
	}
	return p.code, p.reason
}

// wait waits until done, or Patience is over. The caller holds p.mu.
func (p *Peer) wait(done func() bool) {
	over := false
	t := time.AfterFunc(Patience, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		over = true
		p.changed.Broadcast()
	})
	defer t.Stop()
	for !done() && !over {
		p.changed.Wait()
	}
}

// Close closes the socket with the code and reason and waits for the gateway's
// answer.
func (p *Peer) Close(code int, reason string) {
	p.tb.Helper()
	if err := p.ws.Close(websocket.StatusCode(code), reason); err != nil {
		p.tb.Logf("gatewaytest: close: %v", err)
	}
}

// Cut ends the connection without a close frame, as a lost network does.
func (p *Peer) Cut() { p.conn.Close() }

// Stall stops reading. What the gateway sends fills the connection's buffer of
// 64 KiB, and then waits.
func (p *Peer) Stall() { p.conn.in.stall(true) }

// Resume ends Stall.
func (p *Peer) Resume() { p.conn.in.stall(false) }
