package torture

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/wsgateway/gateway/conformance/internal/labproc"
	"github.com/wsgateway/gateway/conformance/internal/raw"
)

// The faults of this file cost the server little but time, and run beside each
// other.

func askJSON(c *raw.Conn, v any) error {
	if err := c.SendMessage(raw.Text, []byte("who")); err != nil {
		return err
	}
	ev, err := c.Next()
	if err != nil {
		return err
	}
	return json.Unmarshal(ev.Data, v)
}

// Handshakes that never end are cut by the server's ReadHeaderTimeout of 5 s.
func TestSlowHandshakes(t *testing.T) {
	t.Parallel()
	lab := start(t)
	fault(t, lab, func(t *testing.T) {
		request := raw.NewRequest(lab.Addr, "/echo").Bytes()
		err := inParallel(60, 60, func(i int) error {
			nc, err := net.DialTimeout("tcp", lab.Addr, raw.Timeout)
			if err != nil {
				return err
			}
			defer nc.Close()
			// A third says nothing, a third stops in the middle, a third drips.
			if i%3 == 1 {
				_, _ = nc.Write(request[:len(request)/2])
			}
			stop := make(chan struct{})
			defer close(stop)
			if i%3 == 2 {
				go drip(nc, request, stop)
			}
			begin := time.Now()
			_ = nc.SetReadDeadline(begin.Add(20 * time.Second))
			if _, err := nc.Read(make([]byte, 4096)); isTimeout(err) {
				return fmt.Errorf("a handshake of kind %d still hangs after %v", i%3, time.Since(begin))
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func drip(nc net.Conn, b []byte, stop <-chan struct{}) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for i := range b {
		select {
		case <-stop:
			return
		case <-tick.C:
			if _, err := nc.Write(b[i : i+1]); err != nil {
				return
			}
		}
	}
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

// An upgrade request whose body never comes is refused at once, however many
// there are.
func TestBodiesThatNeverCome(t *testing.T) {
	t.Parallel()
	lab := start(t)
	fault(t, lab, func(t *testing.T) {
		err := inParallel(100, 20, func(i int) error {
			r := raw.NewRequest(lab.Addr, "/echo")
			if i%2 == 0 {
				r.Set("Content-Length", "1000000")
			} else {
				r.Set("Transfer-Encoding", "chunked")
			}
			begin := time.Now()
			c, resp, err := raw.Do(lab.Addr, r)
			if c != nil {
				c.Cut()
			}
			if err != nil || resp.Status != 400 || time.Since(begin) > patience {
				return fmt.Errorf("%v, %+v after %v", err, resp, time.Since(begin))
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// Peers that have gone without a word answer no ping. They are found within two
// intervals and a little.
func TestHalfOpenPeers(t *testing.T) {
	t.Parallel()
	lab := start(t, "-ping", shortPing.String())
	fault(t, lab, func(t *testing.T) {
		ghost := dial(t, lab, "/info/ghost")
		id := idOf(t, ghost)
		begin := time.Now()
		for range 30 {
			dial(t, lab, "/echo") // and not a byte more: nobody reads, nobody answers
		}
		wantCause(t, lab, id, within(10*time.Second), 1001, "ping_timeout")
		took := time.Since(begin)
		t.Logf("dead peers found after %v", took)
		if took > within(6*time.Second) {
			t.Errorf("dead peers were found only after %v", took)
		}
	})
}

// Peers that shut down their sending side have ended the connection.
func TestHalfClosedPeers(t *testing.T) {
	t.Parallel()
	lab := start(t)
	fault(t, lab, func(t *testing.T) {
		for i := range 30 {
			c := dial(t, lab, "/echo")
			if i%2 == 0 { // in the middle of a frame
				_ = c.Write(raw.Encode(raw.Whole(raw.Text, []byte("never whole")))[:9])
			}
			if err := c.Net().(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if err := gone(c, patience); err != nil {
				t.Errorf("after half a close: %v", err)
			}
		}
	})
}

// Clients that stop reading a flood are cut once a write has waited for the
// write timeout of 10 s, and hold little memory until then.
func TestStalledReaders(t *testing.T) {
	t.Parallel()
	lab := start(t, "-ping", "60s") // so that the write timeout finds them, not a ping
	fault(t, lab, func(t *testing.T) {
		before, err := lab.Stats()
		if err != nil {
			t.Fatal(err)
		}
		const n = 20
		begin := time.Now()
		for range n {
			_ = dial(t, lab, "/flood").Net().(*net.TCPConn).SetReadBuffer(4096)
		}
		var most int64
		labproc.Await(t, within(20*time.Second), func() error {
			now, err := lab.Stats()
			if err != nil {
				return err
			}
			most = max(most, now.RSS-before.RSS)
			if now.Conns > 1 { // the neighbour
				return fmt.Errorf("%d sockets are open, after %v", now.Conns, time.Since(begin))
			}
			return nil
		})
		t.Logf("%d stalled readers held %d KiB, and were cut after %v", n, most>>10, time.Since(begin))
		if most > n*bound(5<<20) {
			t.Errorf("%d stalled readers held %d MiB", n, most>>20)
		}
	})
}

// A client that sends and does not read its echoes is not read from either, and
// then cut like any slow reader.
func TestStalledEcho(t *testing.T) {
	t.Parallel()
	lab := start(t, "-ping", "60s")
	fault(t, lab, func(t *testing.T) {
		c := dial(t, lab, "/echo")
		_ = c.Net().(*net.TCPConn).SetReadBuffer(4096)
		message := raw.Encode(raw.Whole(raw.Binary, make([]byte, 64<<10)))
		begin, sent := time.Now(), 0
		for time.Since(begin) < 30*time.Second {
			_ = c.Net().SetWriteDeadline(time.Now().Add(20 * time.Second))
			n, err := c.Net().Write(message)
			sent += n
			if err != nil {
				break // cut, or pushed back for longer than the server allows
			}
		}
		if sent > 64<<20 {
			t.Errorf("the server took %d MiB without an echo being read", sent>>20)
		}
		if took := time.Since(begin); took > within(20*time.Second) {
			t.Errorf("cut only after %v", took)
		}
		t.Logf("pushed back after %d KiB, cut after %v", sent>>10, time.Since(begin))
	})
}

// Peers that never answer a close frame are dropped after the close timeout of
// 2 s, all at the same time.
func TestCloseNeverAnswered(t *testing.T) {
	t.Parallel()
	lab := start(t)
	before, err := lab.Stats()
	if err != nil {
		t.Fatal(err)
	}
	openAll(t, lab, "/echo", 200)
	begin := time.Now()
	status, body, err := lab.Do("POST", "/ops/closeAll", "")
	if err != nil || status != 200 || strings.TrimSpace(body) != "200" {
		t.Fatalf("closeAll: %d %s, %v", status, body, err)
	}
	if took := time.Since(begin); took > patience {
		t.Errorf("closeAll took %v", took)
	}
	lab.Back(t, before, within(6*time.Second))
}

// A socket whose endpoint is busy for several ping intervals is healthy.
func TestBusyEndpoint(t *testing.T) {
	t.Parallel()
	lab := start(t, "-ping", shortPing.String())
	fault(t, lab, func(t *testing.T) {
		c := dial(t, lab, "/sleep")
		if err := c.Echo(raw.Text, fmt.Append(nil, (4*shortPing).Milliseconds())); err != nil {
			t.Error(err)
		}
		if err := c.Shut(); err != nil {
			t.Error(err)
		}
	})
}

// A client that is busy sending one long frame cannot answer a ping; its bytes
// are sign of life enough.
func TestSlowSender(t *testing.T) {
	t.Parallel()
	lab := start(t, "-ping", shortPing.String())
	fault(t, lab, func(t *testing.T) {
		c := dial(t, lab, "/echo")
		payload := []byte(strings.Repeat("slow", 10))
		tick := time.NewTicker(shortPing / 10)
		defer tick.Stop()
		for _, b := range raw.Cut(raw.Encode(raw.Whole(raw.Text, payload)), 1) {
			<-tick.C
			if err := c.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		ev, err := c.Next()
		if err != nil || string(ev.Data) != string(payload) {
			t.Errorf("echo %q, close code %d, %v", ev.Data, ev.Code, err)
		}
	})
}

// A message without end is cut by the message timeout of 60 s.
func TestEndlessMessage(t *testing.T) {
	if !full {
		t.Skip("takes 70 s: set CONFORMANCE_FULL=1")
	}
	t.Parallel()
	lab := start(t)
	fault(t, lab, func(t *testing.T) {
		c := dial(t, lab, "/info/endless")
		id := idOf(t, c)
		stop := make(chan struct{})
		go func() { // an empty fragment every 100 ms
			f := raw.Encode(raw.Frame{Opcode: raw.Text})
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for c.Write(f) == nil {
				f = raw.Encode(raw.Frame{Opcode: raw.Continuation})
				select {
				case <-tick.C:
				case <-stop:
					return
				}
			}
		}()
		defer close(stop)
		if err := wantClosed(c, 75*time.Second, 1008, "message_timeout"); err != nil {
			t.Error(err)
		}
		c.Cut()
		wantCause(t, lab, id, 5*time.Second, 1008, "message_timeout")
	})
}
