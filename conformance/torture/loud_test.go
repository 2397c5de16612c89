package torture

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/wsgateway/gateway/conformance/internal/raw"
)

// The faults of this file keep the server busy, and run one after the other.

// A message in fragments of one byte.
func TestTinyFragments(t *testing.T) {
	lab := start(t)
	fault(t, lab, func(t *testing.T) {
		n := size(t, "CONFORMANCE_FRAGMENTS", 200_000, 10_000_000)
		payload := bytes.Repeat([]byte("x"), n)
		c := dial(t, lab, "/echo")
		begin := time.Now()
		go func() { _ = c.Write(raw.Encode(raw.Fragments(raw.Binary, raw.Cut(payload, 1)...)...)) }()
		ev, err := c.NextWithin(time.Minute)
		if err != nil || !bytes.Equal(ev.Data, payload) {
			t.Errorf("%v of %d bytes, close code %d, %v", ev.Kind, len(ev.Data), ev.Code, err)
		}
		t.Logf("%d fragments took %v", n, time.Since(begin))
	})
}

// Empty fragments as fast as they go, which reach no byte limit.
func TestEmptyFragments(t *testing.T) {
	lab := start(t)
	fault(t, lab, func(t *testing.T) {
		c := dial(t, lab, "/echo")
		many := bytes.Repeat(raw.Encode(raw.Frame{Opcode: raw.Continuation}), 10_000)
		if err := c.Send(raw.Frame{Opcode: raw.Binary}); err != nil {
			t.Fatal(err)
		}
		sent := 0
		for begin := time.Now(); time.Since(begin) < time.Duration(size(t, "CONFORMANCE_SECONDS", 2,
			10))*time.Second; sent += 10_000 {
			if c.Write(many) != nil {
				break // the server may have had enough
			}
		}
		t.Logf("%d empty fragments", sent)
	})
}

// Fragments above the limit in sum, for ever: refused as soon as the sum is
// reached.
func TestEndlessFragments(t *testing.T) {
	lab := start(t)
	fault(t, lab, func(t *testing.T) {
		c := dial(t, lab, "/rate") // whose limit is 64 KiB
		go func() {
			part := raw.Encode(raw.Frame{Opcode: raw.Continuation, Payload: make([]byte, 100)})
			if c.Send(raw.Frame{Opcode: raw.Binary, Payload: make([]byte, 100)}) != nil {
				return
			}
			for range 10_000 {
				if c.Write(part) != nil {
					return
				}
			}
		}()
		if err := wantClosed(c, within(10*time.Second), 1009, "too_large"); err != nil {
			t.Error(err)
		}
	})
}

func TestPingFlood(t *testing.T) {
	lab := start(t)
	ping := raw.Encode(raw.Whole(raw.Ping, make([]byte, 125)))
	fault(t, lab, func(t *testing.T) {
		// One that reads the pongs.
		n := size(t, "CONFORMANCE_PINGS", 50_000, 1_000_000)
		c := dial(t, lab, "/echo")
		go func() {
			for range n / 100 {
				if c.Write(bytes.Repeat(ping, 100)) != nil {
					return
				}
			}
		}()
		for i := range n {
			if ev, err := c.Next(); err != nil || ev.Kind != raw.Ponged {
				t.Fatalf("pong %d of %d: %v, code %d, %v", i+1, n, ev.Kind, ev.Code, err)
			}
		}
		if err := c.Shut(); err != nil {
			t.Error(err)
		}
		// Some that do not: they must not make the server hold their pongs.
		before, err := lab.Stats()
		if err != nil {
			t.Fatal(err)
		}
		err = inParallel(5, 5, func(int) error {
			c, err := open(lab, "/echo")
			if err != nil {
				return err
			}
			defer c.Cut()
			_ = c.Net().(*net.TCPConn).SetReadBuffer(4096)
			for range 500 { // 30 MiB each
				_ = c.Net().SetWriteDeadline(time.Now().Add(time.Second))
				if _, err := c.Net().Write(bytes.Repeat(ping, 500)); err != nil {
					break // pushed back
				}
			}
			return nil
		})
		now, statsErr := lab.Stats()
		if err != nil || statsErr != nil {
			t.Error(err, statsErr)
		}
		if grown := now.RSS - before.RSS; grown > bound(50<<20) {
			t.Errorf("pings whose pongs nobody reads hold %d MiB", grown>>20)
		}
	})
}

// Connections that are reset at every stage of their life.
func TestResetStorm(t *testing.T) {
	lab := start(t)
	fault(t, lab, func(t *testing.T) {
		n := size(t, "CONFORMANCE_RESETS", 500, 5000)
		frame := raw.Encode(raw.Whole(raw.Text, make([]byte, 300)))
		err := inParallel(n, 50, func(i int) error {
			if i%4 == 0 { // before the handshake is whole
				nc, err := net.DialTimeout("tcp", lab.Addr, raw.Timeout)
				if err != nil {
					return err
				}
				request := raw.NewRequest(lab.Addr, "/echo").Bytes()
				_, _ = nc.Write(request[:rand.IntN(len(request)+1)])
				_ = nc.(*net.TCPConn).SetLinger(0)
				return nc.Close()
			}
			c, err := open(lab, [...]string{"/echo", "/flood", "/hello", "/rate"}[i/4%4])
			if err != nil {
				return err
			}
			switch i % 4 {
			case 1: // in the middle of a frame
				_ = c.Write(frame[:rand.IntN(len(frame))])
			case 2: // while the echo is on its way
				_ = c.Write(frame)
			}
			c.Abort()
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// A gigabyte of zeros in a megabyte.
func TestDeflateBomb(t *testing.T) {
	lab := start(t, "-deflate")
	fault(t, lab, func(t *testing.T) {
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, flate.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		chunk := make([]byte, 1<<20)
		for range 2 {
			b.Reset() // the first chunk has another beginning than all that follow
			_, _ = w.Write(chunk)
			_ = w.Flush()
		}
		bomb := raw.Deflated(chunk, flate.BestCompression)
		bomb = append(append(bomb, "\x00\x00\xff\xff"...), bytes.Repeat(b.Bytes(), 1023)...)
		before, err := lab.Stats()
		if err != nil {
			t.Fatal(err)
		}
		n := size(t, "CONFORMANCE_BOMBS", 4, 40)
		err = inParallel(n, 4, func(int) error {
			r := raw.NewRequest(lab.Addr, "/echo").Add("Sec-WebSocket-Extensions",
				"permessage-deflate; client_no_context_takeover")
			c, resp, err := raw.Do(lab.Addr, r)
			if err != nil || c == nil || c.Deflate() == nil {
				return fmt.Errorf("%v, %+v", err, resp)
			}
			defer c.Cut()
			go func() {
				_ = c.Send(raw.Frame{Fin: true, RSV: raw.RSV1, Opcode: raw.Binary, Payload: bomb})
			}()
			return wantClosed(c, within(20*time.Second), 1009, "too_large")
		})
		if err != nil {
			t.Error(err)
		}
		after, err := lab.Stats()
		if err != nil {
			t.Fatal(err)
		}
		if grown := after.RSS - before.RSS; grown > bound(150<<20) { // the limit of /echo is 16 MiB
			t.Errorf("the server has grown by %d MiB", grown>>20)
		}
	})
}

// Many who announce a large message and send one byte of it.
func TestAnnouncedLengths(t *testing.T) {
	lab := start(t)
	fault(t, lab, func(t *testing.T) {
		before, err := lab.Stats()
		if err != nil {
			t.Fatal(err)
		}
		n := size(t, "CONFORMANCE_ANNOUNCED", 300, 1000)
		length := uint64(16 << 20)
		for _, c := range openAll(t, lab, "/echo", n) {
			if err := c.Send(raw.Frame{Fin: true, Opcode: raw.Binary, Announce: &length,
				Payload: []byte("x")}); err != nil {
				t.Fatal(err)
			}
		}
		after, err := lab.Stats()
		if err != nil {
			t.Fatal(err)
		}
		if grown := after.RSS - before.RSS; grown > bound(int64(n)*100<<10) {
			t.Errorf("%d announcements of 16 MiB hold %d KiB", n, grown>>10)
		}
	})
}

// Noise instead of requests, and instead of frames.
func TestNoise(t *testing.T) {
	lab := start(t)
	fault(t, lab, func(t *testing.T) {
		err := inParallel(200, 20, func(i int) error {
			seed := [32]byte{byte(i)}
			noise := make([]byte, 2000)
			_, _ = rand.NewChaCha8(seed).Read(noise)
			if i%2 == 0 {
				nc, err := net.DialTimeout("tcp", lab.Addr, raw.Timeout)
				if err != nil {
					return err
				}
				defer nc.Close()
				_, _ = nc.Write(noise)
				return nil
			}
			c, err := open(lab, "/echo")
			if err != nil {
				return err
			}
			defer c.Cut()
			_ = c.Write(noise)
			for { // any end will do
				ev, err := c.NextWithin(200 * time.Millisecond)
				var broken *raw.ProtocolError
				if errors.As(err, &broken) {
					return fmt.Errorf("noise %d: %w", i, err)
				}
				if err != nil || ev.Kind >= raw.End {
					return nil
				}
			}
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// Panics end their own socket, with 1011.
func TestPanics(t *testing.T) {
	lab := start(t)
	fault(t, lab, func(t *testing.T) {
		err := inParallel(100, 20, func(int) error {
			c, err := open(lab, "/panic")
			if err != nil {
				return err
			}
			defer c.Cut()
			if err := c.SendMessage(raw.Text, []byte("now")); err != nil {
				return err
			}
			return wantClosed(c, within(5*time.Second), 1011, "panic")
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// Everybody comes back at once, as after a network failure, again and again.
func TestReconnectStorms(t *testing.T) {
	lab := start(t)
	fault(t, lab, func(t *testing.T) {
		rounds, n := 3, size(t, "CONFORMANCE_STORM", 300, 1000)
		if full {
			rounds = 5
		}
		var slowest time.Duration
		for range rounds {
			begin := time.Now()
			conns := make([]*raw.Conn, n)
			err := inParallel(n, n, func(i int) (err error) {
				if conns[i], err = open(lab, "/echo"); err != nil {
					return err
				}
				return conns[i].Echo(raw.Text, []byte("back again"))
			})
			slowest = max(slowest, time.Since(begin))
			for _, c := range conns {
				if c != nil {
					c.Abort()
				}
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("%d storms of %d, the slowest %v", rounds, n, slowest)
	})
}

// Connect, say one thing, close properly.
func TestConnectClose(t *testing.T) {
	lab := start(t)
	fault(t, lab, func(t *testing.T) {
		n := size(t, "CONFORMANCE_CHURN", 1000, 10_000)
		err := inParallel(n, 20, func(i int) error {
			c, err := open(lab, "/echo")
			if err != nil {
				return err
			}
			if err := c.Echo(raw.Text, []byte("one thing")); err != nil {
				return err
			}
			return c.Shut()
		})
		if err != nil {
			t.Error(err)
		}
	})
}
