// Package torture does to a server what clients do by mistake, by accident and
// on purpose, and looks at everybody else meanwhile. Whatever it was, a
// well-behaved neighbour never waits long, and nothing is left afterwards.
package torture

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/wsgateway/gateway/conformance/internal/labproc"
	"github.com/wsgateway/gateway/conformance/internal/raw"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// The parallel tests mostly wait for time limits of the server.
	_ = flag.Set("test.parallel", "8")
	labproc.Main(m)
}

// full reports whether the faults have their full size.
var full = os.Getenv("CONFORMANCE_FULL") != ""

// size returns the number that the environment variable gives, or all in a full
// run, or some.
func size(t *testing.T, env string, some, all int) int {
	t.Helper()
	if v := os.Getenv(env); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatalf("%s: %v", env, err)
		}
		return n
	}
	if full {
		return all
	}
	return some
}

// start starts a server of the test's own. It must end well: a data race or a
// panic fails the test.
func start(t *testing.T, flags ...string) *labproc.Lab {
	t.Helper()
	lab, err := labproc.Start(flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lab.Stop(); err != nil {
			t.Error(err)
		}
	})
	return lab
}

// dial opens a socket, which is cut when the test ends.
func dial(t *testing.T, lab *labproc.Lab, path string) *raw.Conn {
	t.Helper()
	c, err := open(lab, path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Cut)
	return c
}

// open is dial for goroutines other than the test's.
func open(lab *labproc.Lab, path string) (*raw.Conn, error) {
	c, resp, err := raw.Do(lab.Addr, raw.NewRequest(lab.Addr, path))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	case c == nil:
		return nil, fmt.Errorf("%s: refused with %d %s", path, resp.Status, resp.Body)
	}
	return c, nil
}

// openAll opens n sockets, some at a time.
func openAll(t *testing.T, lab *labproc.Lab, path string, n int) []*raw.Conn {
	t.Helper()
	conns := make([]*raw.Conn, n)
	err := inParallel(n, 50, func(i int) (err error) {
		conns[i], err = open(lab, path)
		return err
	})
	t.Cleanup(func() { cutAll(conns) })
	if err != nil {
		t.Fatal(err)
	}
	return conns
}

func cutAll(conns []*raw.Conn) {
	for _, c := range conns {
		if c != nil {
			c.Cut()
		}
	}
}

// inParallel calls fn for 0 to n-1 from a number of goroutines and returns the
// first few errors.
func inParallel(n, workers int, fn func(i int) error) error {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	next := make(chan int)
	for range min(workers, n) {
		wg.Go(func() {
			for i := range next {
				if err := fn(i); err != nil {
					mu.Lock()
					errs = append(errs, fmt.Errorf("%d of %d: %w", i+1, n, err))
					mu.Unlock()
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	if len(errs) > 5 {
		errs = append(errs[:5], fmt.Errorf("and %d more", len(errs)-5))
	}
	return errors.Join(errs...)
}

// A fault is done to a server between two looks at what it holds. The sockets
// that do dials with its own t are gone before the second.
func fault(t *testing.T, lab *labproc.Lab, do func(t *testing.T)) {
	t.Helper()
	before, err := lab.Stats()
	if err != nil {
		t.Fatal(err)
	}
	n := meet(t, lab)
	t.Run("fault", do)
	n.leave(t)
	lab.Back(t, before, within(15*time.Second))
}

// patience is how long a neighbour may wait for an echo.
var patience = within(2 * time.Second)

// shortPing is the ping interval of tests that wait for some. Well-behaved clients
// must be able to answer in that time, however busy the machine is.
var shortPing = within(time.Second)

// within returns a time that the server promises to keep, or more of it under the
// race detector, which makes everything slow.
func within(d time.Duration) time.Duration {
	if labproc.Race {
		return 4 * d
	}
	return d
}

// A neighbour is a client that does nothing wrong.
type neighbour struct {
	c    *raw.Conn
	stop chan struct{}
	left chan struct{}

	// Read after left is closed.
	waits []time.Duration
	err   error
}

func meet(t *testing.T, lab *labproc.Lab) *neighbour {
	n := &neighbour{c: dial(t, lab, "/echo"), stop: make(chan struct{}), left: make(chan struct{})}
	go n.live()
	return n
}

// live sends a message every 20 ms and waits for its echo.
func (n *neighbour) live() {
	defer close(n.left)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		begin := time.Now()
		if n.err = n.c.Echo(raw.Text, fmt.Appendf(nil, "neighbour %d", i)); n.err != nil {
			return
		}
		n.waits = append(n.waits, time.Since(begin))
		select {
		case <-n.stop:
			n.err = n.c.Shut()
			return
		case <-tick.C:
		}
	}
}

// leave ends the neighbour's visit and fails the test if it had to complain.
func (n *neighbour) leave(t *testing.T) {
	t.Helper()
	close(n.stop)
	<-n.left
	if n.err != nil {
		t.Errorf("the neighbour was cut off after %d echoes: %v", len(n.waits), n.err)
	}
	if len(n.waits) == 0 {
		return
	}
	slices.Sort(n.waits)
	slowest := n.waits[len(n.waits)-1]
	t.Logf("neighbour: %d echoes, median %v, slowest %v", len(n.waits), n.waits[len(n.waits)/2],
		slowest)
	if slowest >= patience {
		t.Errorf("the neighbour waited %v for an echo", slowest)
	}
}

// bound returns how much memory the server may take: more where the race
// detector keeps its own records of it.
func bound(bytes int64) int64 {
	if labproc.Race {
		return 4 * bytes
	}
	return bytes
}

// wantClosed reads on until the close frame, whatever comes before, and wants
// it to have the code and the reason. An empty reason is any.
func wantClosed(c *raw.Conn, d time.Duration, code int, reason string) error {
	deadline := time.Now().Add(d)
	for {
		ev, err := c.NextWithin(time.Until(deadline))
		switch {
		case err != nil:
			return fmt.Errorf("waiting for close %d: %w", code, err)
		case ev.Kind == raw.Closed:
			if ev.Code != code || reason != "" && ev.Reason != reason {
				return fmt.Errorf("closed with %d %q, want %d %q", ev.Code, ev.Reason, code, reason)
			}
			return nil
		case ev.Kind >= raw.End:
			return fmt.Errorf("%v without a close frame, want %d", ev.Kind, code)
		}
	}
}

// gone waits until the server has dropped the connection; close frame and
// messages before that are passed over.
func gone(c *raw.Conn, d time.Duration) error {
	deadline := time.Now().Add(d)
	for {
		ev, err := c.NextWithin(time.Until(deadline))
		if err != nil {
			return err
		}
		if ev.Kind >= raw.End {
			return nil
		}
	}
}

// idOf returns the id of a socket on /info.
func idOf(t *testing.T, c *raw.Conn) string {
	t.Helper()
	var info struct {
		ID string `json:"socket_id"`
	}
	if err := askJSON(c, &info); err != nil || info.ID == "" {
		t.Fatalf("id %q: %v", info.ID, err)
	}
	return info.ID
}

// wantCause waits for the close event of a socket and wants its code and cause.
func wantCause(t *testing.T, lab *labproc.Lab, id string, d time.Duration, code int, cause string) {
	t.Helper()
	var last labproc.Event
	labproc.Await(t, d, func() error {
		events, err := lab.Events(id)
		if err != nil {
			return err
		}
		if last = events[len(events)-1]; last.Type != "close" {
			return fmt.Errorf("the latest event of %s is %s", id, last.Type)
		}
		return nil
	})
	if last.CloseCode != code || last.CloseCause != cause {
		t.Errorf("close event %d %s, want %d %s", last.CloseCode, last.CloseCause, code, cause)
	}
}
