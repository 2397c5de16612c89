package labproc

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Stats is what GET /stats answers.
type Stats struct {
	Goroutines int    `json:"goroutines"`
	FDs        int    `json:"fds"`
	RSS        int64  `json:"rss"` // bytes
	Conns      int    `json:"conns"`
	PID        int    `json:"pid"`
	CPU        int64  `json:"cpu_us"`
	Mallocs    uint64 `json:"mallocs"`
}

// An Event is one of those that GET /events answers.
type Event struct {
	Type        string `json:"type"`
	MessageType string `json:"message_type"`
	Timestamp   int64  `json:"timestamp"`
	CloseCode   int    `json:"close_code"`
	CloseReason string `json:"close_reason"`
	CloseCause  string `json:"close_cause"`
}

// client keeps no connection, so that none is counted in Stats.
var client = &http.Client{Timeout: 20 * time.Second,
	Transport: &http.Transport{DisableKeepAlives: true}}

// Do sends a plain HTTP request and returns status and body.
func (l *Lab) Do(method, path, body string) (int, string, error) {
	req, err := http.NewRequest(method, "http://"+l.Addr+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// get decodes the JSON that a path answers into v.
func (l *Lab) get(path string, v any) error {
	status, body, err := l.Do("GET", path, "")
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("GET %s: %d %s", path, status, body)
	}
	return json.Unmarshal([]byte(body), v)
}

// Stats returns what the server holds, after a garbage collection.
func (l *Lab) Stats() (s Stats, err error) {
	err = l.get("/stats?gc=1", &s)
	return s, err
}

// List returns the ids of the open sockets.
func (l *Lab) List() (ids []string, err error) {
	err = l.get("/ops/list", &ids)
	return ids, err
}

// Events returns the events of a socket so far.
func (l *Lab) Events(id string) (evs []Event, err error) {
	err = l.get("/events?id="+id, &evs)
	return evs, err
}

// Await calls done, ever more slowly, until it returns nil, and fails the test
// with its last error when d has passed.
func Await(tb testing.TB, d time.Duration, done func() error) {
	tb.Helper()
	deadline := time.Now().Add(d)
	pause := 5 * time.Millisecond
	for {
		err := done()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("after %v: %v", d, err)
		}
		time.Sleep(pause) // the server is another process: there is nothing to wait on
		pause = min(2*pause, 200*time.Millisecond)
	}
}

// Back fails the test unless the server's goroutines, file descriptors and
// sockets return to what they were within d.
func (l *Lab) Back(tb testing.TB, before Stats, d time.Duration) {
	tb.Helper()
	Await(tb, d, func() error {
		now, err := l.Stats()
		if err != nil {
			return err
		}
		if now.Goroutines > before.Goroutines || now.FDs > before.FDs || now.Conns > before.Conns {
			return fmt.Errorf("left over: %d goroutines, %d file descriptors, %d sockets; before: %d, %d, "+
				"%d",
				now.Goroutines, now.FDs, now.Conns, before.Goroutines, before.FDs, before.Conns)
		}
		return nil
	})
}
