package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/wsgateway/gateway/bench/internal/measure"
)

// dialers is how many connections are opened at a time.
const dialers = 32

// DialAll opens n connections to t. On an error all are dropped.
func DialAll(ctx context.Context, t Target, n int) ([]*Conn, error) {
	conns := make([]*Conn, n)
	err := each(min(dialers, n), n, func(i int) error {
		c, err := Dial(ctx, t)
		conns[i] = c
		return err
	})
	if err != nil {
		CutAll(conns)
		return nil, err
	}
	return conns, nil
}

// CutAll drops the connections without a close handshake. Nil ones are passed
// over.
func CutAll(conns []*Conn) {
	for _, c := range conns {
		if c != nil {
			c.Cut()
		}
	}
}

// each calls f for 0 to n-1 on some goroutines, and stops at the first error.
func each(goroutines, n int, f func(i int) error) error {
	var (
		wg    sync.WaitGroup
		next  atomic.Int64
		first errorOnce
	)
	for range goroutines {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n || first.get() != nil {
					return
				}
				first.set(f(i))
			}
		})
	}
	wg.Wait()
	return first.get()
}

// errorOnce keeps the first error.
type errorOnce struct{ err atomic.Pointer[error] }

func (e *errorOnce) set(err error) {
	if err != nil {
		e.err.CompareAndSwap(nil, &err)
	}
}

func (e *errorOnce) get() error {
	if p := e.err.Load(); p != nil {
		return *p
	}
	return nil
}

// shards are histograms and counters that several clients share, few enough
// to be merged quickly and enough not to be fought over.
type shards [8]struct {
	latency measure.Histogram
	count   atomic.Int64
	_       [64]byte
}

func (s *shards) total() (n int64) {
	for i := range s {
		n += s[i].count.Load()
	}
	return n
}

// merged is all latencies since the last reset.
func (s *shards) merged() *measure.Histogram {
	var h measure.Histogram
	for i := range s {
		h.Merge(&s[i].latency)
	}
	return &h
}

func (s *shards) reset() {
	for i := range s {
		s[i].latency.Reset()
	}
}

var errUnasked = errors.New("a message that nobody asked for")

func opName(op byte) string {
	switch op {
	case opText:
		return "text"
	case opBinary:
		return "binary"
	case opClose:
		return "close"
	}
	return fmt.Sprintf("opcode %d", op)
}
