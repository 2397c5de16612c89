package torture

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wsgateway/gateway/conformance/internal/labproc"
	"github.com/wsgateway/gateway/conformance/internal/raw"
)

const health = "/api/v1/solution/health"

// SIGTERM with 500 well-behaved clients: everyone is told, nobody is waited for
// in vain.
func TestTerminate(t *testing.T) {
	lab := start(t)
	const n = 500
	conns := openAll(t, lab, "/echo", n)
	begin := time.Now()
	if err := lab.Terminate(); err != nil {
		t.Fatal(err)
	}
	err := inParallel(n, n, func(i int) error {
		c := conns[i]
		if err := wantClosed(c, within(5*time.Second), 1001, "drain"); err != nil {
			return err
		}
		if err := c.Send(raw.Close(1001, "")); err != nil {
			return err
		}
		return gone(c, within(5*time.Second))
	})
	if err != nil {
		t.Error(err)
	}
	if err := lab.Exited(within(5*time.Second) - time.Since(begin)); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d clients closed, process gone after %v", n, time.Since(begin))
	wantDelivered(t, lab, n)
}

// wantDelivered wants the server's last words to say that every socket had its
// close event.
func wantDelivered(t *testing.T, lab *labproc.Lab, n int) {
	t.Helper()
	if want := fmt.Sprintf("lab: %d open events, %d close events", n,
		n); !strings.Contains(lab.Output(), want) {
		t.Errorf("the server said %q, want %q", lab.Output(), want)
	}
}

// SIGTERM with clients of every bad sort among the good: the process still ends
// within 5 s, and the health route and new clients are told 503 meanwhile.
func TestTerminateAmongBadClients(t *testing.T) {
	lab := start(t)
	if status, body, err := lab.Do("GET", health, ""); err != nil || status != 200 || body != "OK" {
		t.Fatalf("health before: %d %q, %v", status, body, err)
	}
	good := openAll(t, lab, "/echo", 100)
	silent := openAll(t, lab, "/echo", 300)   // will not answer the close frame
	stalled := openAll(t, lab, "/flood", 50)  // do not even read
	sleeping := openAll(t, lab, "/sleep", 50) // their endpoints are busy
	for _, c := range sleeping {
		if err := c.SendMessage(raw.Text, []byte("60000")); err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now()
	if err := lab.Terminate(); err != nil {
		t.Fatal(err)
	}
	if err := wantClosed(good[0], within(5*time.Second), 1001, "drain"); err != nil {
		t.Error(err)
	}
	// The silent ones have the close timeout of 2 s: so long the server is here.
	if status, _, err := lab.Do("GET", health, ""); err != nil || status != 503 {
		t.Errorf("health meanwhile: %d, %v; want 503", status, err)
	}
	c, resp, err := raw.Do(lab.Addr, raw.NewRequest(lab.Addr, "/echo"))
	if err != nil || c != nil || resp.Status != 503 ||
		!strings.Contains(string(resp.Body), `"shutting_down"`) {
		t.Errorf("a new client meanwhile: %v, %+v; want 503 shutting_down", err, resp)
	}
	err = inParallel(len(good)-1, 100, func(i int) error {
		return wantClosed(good[i+1], within(5*time.Second), 1001, "drain")
	})
	if err != nil {
		t.Error(err)
	}
	if err := lab.Exited(within(5*time.Second) - time.Since(begin)); err != nil {
		t.Fatal(err)
	}
	t.Logf("process gone after %v", time.Since(begin))
	wantDelivered(t, lab, len(good)+len(silent)+len(stalled)+len(sleeping))
}
