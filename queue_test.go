package gateway_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
)

// block makes the writer of a stalled peer's socket wait: the connection's buffer
// is full, and one frame that has begun is at the head of the queue.
func block(t *testing.T, s *gateway.Socket, p *gatewaytest.Peer) {
	t.Helper()
	p.Stall()
	wantErr(t, "Send of the message that blocks", s.Send(t.Context(), gateway.Text(blocker)), nil)
	synctest.Wait()
}

var blocker = strings.Repeat("b", 100_000)

// A full queue refuses, by messages and by bytes, and takes more once the client
// reads; the order stays.
func TestQueueFull(t *testing.T) {
	for name, c := range map[string]struct {
		limits gateway.Limits
		size   int
		fits   int
	}{
		"default messages": {gateway.Limits{}, 1, 255}, // and the one that is being written
		"default bytes":    {gateway.Limits{}, 100_000, 9},
		"messages":         {gateway.Limits{QueueMessages: 3}, 1, 2},
		"bytes":            {gateway.Limits{QueueBytes: 110_000}, 1000, 9},
		"one message":      {gateway.Limits{QueueMessages: 1}, 1, 0},
	} {
		bubble(t, name, func(t *testing.T) {
			gw := withLimits(c.limits)
			s, p := open(t, gw, &recorder{})
			block(t, s, p)
			pad := strings.Repeat("x", c.size)
			for i := range c.fits {
				wantErr(t, fmt.Sprintf("Send %d of %d", i+1, c.fits),
					gw.Send(t.Context(), s.ID(), gateway.Text(pad)), nil)
			}
			for range 3 {
				wantErr(t, "Send into a full queue", gw.Send(t.Context(), s.ID(), gateway.Text(pad)),
					gateway.ErrQueueFull)
			}
			if n := gw.Stats().QueueFull; n != 3 {
				t.Errorf("Stats().QueueFull = %d, want 3", n)
			}
			p.Resume()
			wantText(t, p, blocker)
			for range c.fits {
				wantText(t, p, pad)
			}
			synctest.Wait() // the gateway knows it, too
			wantErr(t, "Send after the client has read", gw.Send(t.Context(), s.ID(), gateway.Text("last")),
				nil)
			wantText(t, p, "last")
		})
	}
}

// An empty queue takes any message up to the send limit; off means off.
func TestQueueLimitsOffAndExceeded(t *testing.T) {
	bubble(t, "empty queue", func(t *testing.T) {
		s, p := open(t, withLimits(gateway.Limits{QueueBytes: 10}), &recorder{})
		wantErr(t, "Send of 100 kB into an empty queue of 10 bytes",
			s.Send(t.Context(), gateway.Text(blocker)), nil)
		wantText(t, p, blocker)
	})
	bubble(t, "off", func(t *testing.T) {
		s, p := open(t, withLimits(gateway.Limits{QueueMessages: -1, QueueBytes: -1}), &recorder{})
		block(t, s, p)
		for range 1000 {
			wantErr(t, "Send", s.Send(t.Context(), gateway.Text(strings.Repeat("x", 2000))), nil)
		}
		p.Resume()
		for range 1001 {
			p.Receive()
		}
	})
}

// Policies of a full queue other than refusing.
func TestQueuePolicies(t *testing.T) {
	for policy, want := range map[gateway.QueuePolicy][]string{
		gateway.QueueDropOldest: {"2", "3"},
		gateway.QueueDropNewest: {"0", "3"},
	} {
		synctest.Test(t, func(t *testing.T) {
			gw := withLimits(gateway.Limits{QueueMessages: 3, OnQueueFull: policy})
			s, p := open(t, gw, &recorder{})
			block(t, s, p)
			for i := range 4 {
				wantErr(t, "Send", gw.Send(t.Context(), s.ID(), gateway.Text(fmt.Sprint(i))), nil)
			}
			p.Resume()
			wantText(t, p, blocker)
			for _, text := range want {
				wantText(t, p, text)
			}
			if st := gw.Stats(); st.Lost["oldest"]+st.Lost["newest"] != 2 || st.QueueFull != 0 {
				t.Errorf("Stats: lost %v, queue full %d, want 2 lost", st.Lost, st.QueueFull)
			}
		})
	}
	bubble(t, "close", func(t *testing.T) {
		r := &recorder{}
		gw := withLimits(gateway.Limits{QueueMessages: 2, OnQueueFull: gateway.QueueClose})
		s, p := open(t, gw, r)
		block(t, s, p)
		wantErr(t, "Send", gw.Send(t.Context(), s.ID(), gateway.Text("dropped")), nil)
		wantErr(t, "Send into a full queue", gw.Send(t.Context(), s.ID(), gateway.Text("x")),
			gateway.ErrQueueFull)
		wantErr(t, "Send after it", gw.Send(t.Context(), s.ID(), gateway.Text("x")), gateway.ErrClosed)
		p.Resume()
		wantText(t, p, blocker) // had begun; what had not is dropped
		wantClosed(t, p, 1008, "slow_consumer")
		r.expect(t, "open", `close slow_consumer 1008 "slow_consumer"`)
		if n := gw.Stats().Lost["closed"]; n != 1 {
			t.Errorf(`Stats().Lost["closed"] = %d, want 1`, n)
		}
	})
}

// A message with a key replaces a waiting one of the same key.
func TestLatestValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := withLimits(gateway.Limits{QueueMessages: 4})
		s, p := open(t, gw, &recorder{})
		block(t, s, p)
		keyed := func(key, text string) gateway.Message {
			m := gateway.Text(text)
			m.Key = key
			return m
		}
		for i := range 10 {
			wantErr(t, "Send a", gw.Send(t.Context(), s.ID(), keyed("a", fmt.Sprint("a", i))), nil)
		}
		wantErr(t, "Send b", gw.Send(t.Context(), s.ID(), keyed("b", "b0")), nil)
		wantErr(t, "Send a", gw.Send(t.Context(), s.ID(), keyed("a", "a10")), nil)
		p.Resume()
		for _, want := range []string{blocker, "b0", "a10"} {
			wantText(t, p, want)
		}
		if n := gw.Stats().Lost["replaced"]; n != 10 {
			t.Errorf(`Stats().Lost["replaced"] = %d, want 10`, n)
		}
	})
}

// A latest value finds room where an older one of its key waits, even if the
// queue is full.
func TestLatestValueInAFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := withLimits(gateway.Limits{QueueMessages: 2})
		s, p := open(t, gw, &recorder{})
		block(t, s, p)
		for i := range 3 {
			m := gateway.Text(fmt.Sprint(i))
			m.Key = "k"
			wantErr(t, fmt.Sprintf("Send %d of key k into a queue that holds one of it", i),
				gw.Send(t.Context(), s.ID(), m), nil)
		}
		p.Resume()
		wantText(t, p, blocker)
		wantText(t, p, "2")
	})
}
