package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime/pprof"
	"strconv"
	"sync"
	"time"

	"github.com/wsgateway/gateway/bench/internal/message"
)

// control is how the parent asks for workload and figures, over HTTP on a port of
// its own.
type control struct {
	s server

	mu   sync.Mutex // one request at a time
	next uint32     // number of the next message

	victim string // the socket that /fill sends to
}

// A Crowd is what sockets in memory are asked for.
type Crowd struct {
	Do string // one of the constants below
	N  int    // how many
	Of int    // see the constants
	To int    // of a send: how many of the sockets get any
}

// What a crowd can do. What sends ends when all has arrived.
const (
	CrowdOpen   = "open"   // N sockets
	CrowdGroup  = "group"  // N groups of Of members
	CrowdSend   = "send"   // N messages to sockets by turns, Of at a time
	CrowdTell   = "tell"   // N messages to groups by turns, Of at a time
	CrowdRejoin = "rejoin" // N times leave the one group with all in it, and join it again
	CrowdCheck  = "check"  // whether each socket got what it should
)

// A Sent is the answer to broadcast and burst.
type Sent struct {
	First uint32 // number of the first message
	Calls int
	Took  time.Duration // until the last call returned
}

func newControl(s server) http.Handler {
	c := &control{s: s}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /usage", answer(func(*http.Request) (any, error) { return usage() }))
	mux.HandleFunc("GET /memory", answer(func(*http.Request) (any, error) { return memoryOf(s), nil }))
	mux.HandleFunc("GET /sockets",
		answer(func(*http.Request) (any, error) { return len(s.ids()), nil }))
	mux.HandleFunc("POST /gc", answer(func(*http.Request) (any, error) { collect(); return nil, nil }))
	mux.HandleFunc("POST /broadcast", answer(func(r *http.Request) (any, error) {
		return c.repeat(r, c.s.broadcast)
	}))
	mux.HandleFunc("POST /burst", answer(func(r *http.Request) (any, error) {
		ids := c.s.ids()
		if len(ids) == 0 {
			return nil, fmt.Errorf("no sockets")
		}
		rnd := rand.New(rand.NewPCG(1, uint64(c.next)))
		return c.repeat(r, func(m []byte) error { return c.s.send(ids[rnd.IntN(len(ids))], m) })
	}))
	mux.HandleFunc("POST /victim", answer(func(*http.Request) (any, error) {
		ids := c.s.ids()
		if len(ids) != 1 {
			return nil, fmt.Errorf("%d sockets, want the victim alone", len(ids))
		}
		c.victim = ids[0]
		return nil, nil
	}))
	mux.HandleFunc("POST /fill", answer(func(r *http.Request) (any, error) { return nil, c.fill(r) }))
	mux.HandleFunc("POST /crowd",
		answer(func(r *http.Request) (any, error) { return nil, c.crowd(r) }))
	mux.HandleFunc("POST /profile/start", answer(startProfile))
	mux.HandleFunc("POST /profile/stop", answer(func(*http.Request) (any, error) {
		pprof.StopCPUProfile()
		return nil, nil
	}))
	mux.HandleFunc("POST /profile/heap", answer(heapProfile))
	return mux
}

// repeat calls f with n new messages of some size.
func (c *control) repeat(r *http.Request, f func([]byte) error) (Sent, error) {
	n, size, err := amount(r)
	if err != nil {
		return Sent{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	blank := message.New(size)
	sent := Sent{First: c.next, Calls: n}
	start := time.Now()
	for range n {
		m := bytes.Clone(blank) // some libraries keep it
		message.Stamp(m, c.next, time.Now())
		c.next++
		if err := f(m); err != nil {
			return sent, fmt.Errorf("message %d: %w", c.next-1, err)
		}
	}
	sent.Took = time.Since(start)
	return sent, nil
}

// fill sends to the victim, which does not read, until that is refused or
// enough. It does not wait: where a send blocks, it blocks here for as long.
func (c *control) fill(r *http.Request) error {
	n, size, err := amount(r)
	if err != nil {
		return err
	}
	if c.victim == "" {
		return errors.New("there is no victim")
	}
	go func() {
		m := message.New(size)
		for range n {
			if c.s.send(c.victim, m) != nil {
				return
			}
		}
	}()
	return nil
}

func (c *control) crowd(r *http.Request) error {
	s, ok := c.s.(*crowd)
	if !ok {
		return errors.New("the sockets of this server are not in memory")
	}
	var w Crowd
	if err := json.Unmarshal([]byte(r.FormValue("crowd")), &w); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return s.do(w)
}

// amount is how many messages of which size are asked for.
func amount(r *http.Request) (n, size int, err error) {
	if n, err = strconv.Atoi(r.FormValue("n")); err != nil {
		return 0, 0, err
	}
	size, err = strconv.Atoi(r.FormValue("size"))
	return n, size, err
}

func startProfile(r *http.Request) (any, error) {
	f, err := os.Create(r.FormValue("file"))
	if err != nil {
		return nil, err
	}
	return nil, pprof.StartCPUProfile(f) // the process ends with the file
}

func heapProfile(r *http.Request) (any, error) {
	f, err := os.Create(r.FormValue("file"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return nil, pprof.Lookup("heap").WriteTo(f, 0)
}

// answer writes what f returns as JSON, its error as text with status 500.
func answer(f func(r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := f(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		json.NewEncoder(w).Encode(v)
	}
}
