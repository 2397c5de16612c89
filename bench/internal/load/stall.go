package load

import (
	"sync"
	"time"
)

// A Staller is a client that can stop reading. What it reads it does not look
// at: its server may have had to drop some of it, or the client.
type Staller struct {
	c    *Conn
	gate sync.Mutex // held while stalled, and to start a read
	done chan struct{}
}

// StartStaller reads from c until it ends.
func StartStaller(c *Conn) *Staller {
	s := &Staller{c: c, done: make(chan struct{})}
	c.nc.SetDeadline(time.Time{})
	go func() {
		defer close(s.done)
		for {
			s.gate.Lock()
			c.r = c.w
			s.gate.Unlock()
			if c.fill() != nil {
				return
			}
		}
	}()
	return s
}

// Stall stops reading, after at most one more read.
func (s *Staller) Stall() { s.gate.Lock() }

// Resume reads on.
func (s *Staller) Resume() { s.gate.Unlock() }

// Stop drops the connection. It must not be stalled.
func (s *Staller) Stop() {
	s.c.Cut()
	<-s.done
}
