package torture

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/wsgateway/gateway/conformance/internal/labproc"
	"github.com/wsgateway/gateway/conformance/internal/raw"
)

// A holder keeps a connection: it answers pings, and hands on what else comes.
type holder struct {
	c      *raw.Conn
	events chan raw.Event // closed at the end of the connection
}

func hold(c *raw.Conn) *holder {
	h := &holder{c, make(chan raw.Event, 1)}
	go func() {
		defer close(h.events)
		for {
			ev, err := c.NextWithin(10 * time.Minute)
			if err != nil || ev.Kind >= raw.End {
				return
			}
			h.events <- ev
		}
	}()
	return h
}

// next returns what comes next, and an end if nothing does.
func (h *holder) next() raw.Event {
	select {
	case ev, ok := <-h.events:
		if ok {
			return ev
		}
		return raw.Event{Kind: raw.End}
	case <-time.After(raw.Timeout):
		return raw.Event{}
	}
}

// echo sends a text and waits for it.
func (h *holder) echo(text string) error {
	if err := h.c.SendMessage(raw.Text, []byte(text)); err != nil {
		return err
	}
	if ev := h.next(); ev.Kind != raw.Message || string(ev.Data) != text {
		return fmt.Errorf("%v of %d bytes, close code %d; want the echo of %q", ev.Kind, len(ev.Data),
			ev.Code, text)
	}
	return nil
}

// shut closes as a client does, and waits for the server's answer.
func (h *holder) shut() error {
	defer h.c.Cut()
	if err := h.c.Send(raw.Close(1000, "")); err != nil {
		return err
	}
	if ev := h.next(); ev.Kind != raw.Closed || ev.Code != 1000 {
		return fmt.Errorf("%v with code %d, want a close with 1000", ev.Kind, ev.Code)
	}
	return nil
}

// Many connections that do nothing but answer pings for some intervals: all are
// kept, and all are served when one in twenty begins to talk. CONFORMANCE_HELD is
// their number; 10,000 need as many file descriptors (ulimit -n).
func TestHeldConnections(t *testing.T) {
	t.Parallel()
	interval, idle := shortPing, 4*shortPing
	if full {
		interval, idle = 5*time.Second, time.Minute
	}
	lab := start(t, "-ping", interval.String())
	fault(t, lab, func(t *testing.T) {
		n := size(t, "CONFORMANCE_HELD", 1000, 10_000)
		before := statsOf(t, lab)
		holders := make([]*holder, n)
		for i, c := range openAll(t, lab, "/echo", n) {
			holders[i] = hold(c)
		}
		opened := statsOf(t, lab)
		time.Sleep(idle) // for pings to be due, and to be missed
		held := statsOf(t, lab)
		if held.Conns < n {
			t.Fatalf("%d of %d connections are left after %v", held.Conns, n, idle)
		}
		t.Logf("%d sockets hold %d bytes and %.2f goroutines each; after %v idle %d bytes; %.1f%% of a "+
			"core for pings",
			n, (opened.RSS-before.RSS)/int64(n), float64(held.Goroutines-before.Goroutines)/float64(n),
			idle, (held.RSS-before.RSS)/int64(n),
			float64(held.CPU-opened.CPU)/float64(idle.Microseconds())*100)
		talkAmong(t, holders)
		err := inParallel(n, 50, func(i int) error { return holders[i].echo("still here") })
		if err != nil {
			t.Error(err)
		}
		if err := inParallel(n, 50, func(i int) error { return holders[i].shut() }); err != nil {
			t.Error(err)
		}
	})
	after := statsOf(t, lab)
	t.Logf("afterwards: %d goroutines, %d file descriptors, %d sockets, %d KiB", after.Goroutines,
		after.FDs, after.Conns, after.RSS>>10)
}

// talkAmong has one in twenty talk, each at its own pace, twenty times.
func talkAmong(t *testing.T, holders []*holder) {
	t.Helper()
	talkers := len(holders) / 20
	waits := make([]time.Duration, talkers*20)
	err := inParallel(talkers, talkers, func(i int) error {
		for k := range 20 {
			time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond) // as people do
			begin := time.Now()
			if err := holders[i*20].echo(fmt.Sprint(i, k)); err != nil {
				return err
			}
			waits[i*20+k] = time.Since(begin)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(waits)
	p99 := waits[len(waits)*99/100]
	t.Logf("%d talk among them: median %v, p99 %v, slowest %v", talkers, waits[len(waits)/2], p99,
		waits[len(waits)-1])
	if p99 > patience {
		t.Errorf("p99 of an echo is %v", p99)
	}
}

func statsOf(t *testing.T, lab *labproc.Lab) labproc.Stats {
	t.Helper()
	s, err := lab.Stats()
	if err != nil {
		t.Fatal(err)
	}
	return s
}
