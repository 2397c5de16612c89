package torture

import (
	"fmt"
	"testing"
	"time"

	"github.com/wsgateway/gateway/conformance/internal/raw"
)

// The default rate is five messages a second, five at once.

// Policy Delay pushes back and loses nothing.
func TestRateDelay(t *testing.T) {
	t.Parallel()
	lab := start(t)
	fault(t, lab, func(t *testing.T) {
		const n = 20
		c := dial(t, lab, "/rate")
		begin := time.Now()
		for i := range n {
			if err := c.SendMessage(raw.Text, fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range n {
			ev, err := c.Next()
			if err != nil || string(ev.Data) != fmt.Sprint(i) {
				t.Fatalf("echo %d is %q, close code %d, %v", i, ev.Data, ev.Code, err)
			}
		}
		// Later than that is the machine's doing.
		took, want := time.Since(begin), (n-5)*time.Second/5
		if took < want-200*time.Millisecond || took > want+15*time.Second {
			t.Errorf("%d messages took %v, want %v", n, took, want)
		}
		if err := c.Shut(); err != nil {
			t.Error(err)
		}
	})
}

// A flood above the rate stays with the client: the server takes what its
// buffers hold.
func TestRateDelayPushesBack(t *testing.T) {
	t.Parallel()
	lab := start(t)
	fault(t, lab, func(t *testing.T) {
		c := dial(t, lab, "/rate")
		message := raw.Encode(raw.Whole(raw.Binary, make([]byte, 60_000)))
		sent := 0
		for range 1000 {
			_ = c.Net().SetWriteDeadline(time.Now().Add(time.Second))
			n, err := c.Net().Write(message)
			sent += n
			if err != nil {
				break
			}
		}
		t.Logf("pushed back after %d KiB", sent>>10)
		if sent > 16<<20 {
			t.Errorf("the server took %d MiB at once", sent>>20)
		}
		for range 5 {
			if ev, err := c.Next(); err != nil || len(ev.Data) != 60_000 {
				t.Fatalf("echo of %d bytes, close code %d, %v", len(ev.Data), ev.Code, err)
			}
		}
	})
}

// Policy Drop answers the first five, and what a second adds.
func TestRateDrop(t *testing.T) {
	t.Parallel()
	lab := start(t)
	fault(t, lab, func(t *testing.T) {
		c := dial(t, lab, "/rate/drop")
		const n = 500
		begin := time.Now()
		for i := range n {
			if err := c.SendMessage(raw.Text, fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
		}
		// The pong comes behind all echoes.
		if err := c.Send(raw.Whole(raw.Ping, nil)); err != nil {
			t.Fatal(err)
		}
		echoes := 0
		for {
			ev, err := c.Next()
			if err != nil || ev.Kind >= raw.Closed {
				t.Fatalf("%v, close code %d, %v", ev.Kind, ev.Code, err)
			}
			if ev.Kind == raw.Ponged {
				break
			}
			if echoes < 5 && string(ev.Data) != fmt.Sprint(echoes) {
				t.Errorf("echo %d is %q", echoes, ev.Data)
			}
			echoes++
		}
		most := 5 + int(5*time.Since(begin).Seconds()) + 1
		if echoes < 5 || echoes > most {
			t.Errorf("%d of %d messages at once were answered, want 5 to %d", echoes, n, most)
		}
		time.Sleep(400 * time.Millisecond) // until the rate allows another: two, to be sure
		if err := c.Echo(raw.Text, []byte("later")); err != nil {
			t.Error(err)
		}
		if err := c.Shut(); err != nil {
			t.Error(err)
		}
	})
}

// Policy Close closes.
func TestRateClose(t *testing.T) {
	t.Parallel()
	lab := start(t)
	fault(t, lab, func(t *testing.T) {
		for range 20 {
			c := dial(t, lab, "/rate/close")
			go func() {
				for range 2000 {
					if c.SendMessage(raw.Text, []byte("flood")) != nil {
						return
					}
				}
			}()
			if err := wantClosed(c, within(5*time.Second), 1008, "rate_limited"); err != nil {
				t.Error(err)
			}
		}
		// Within the rate it stays open.
		c := dial(t, lab, "/rate/close")
		for range 5 {
			if err := c.Echo(raw.Text, []byte("slow")); err != nil {
				t.Error(err)
			}
		}
		if err := c.Shut(); err != nil {
			t.Error(err)
		}
	})
}
