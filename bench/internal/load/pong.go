package load

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// Pongers are clients that say nothing and answer pings.
type Pongers struct {
	count atomic.Int64
	conns []*Conn
	stop  atomic.Bool
	wg    sync.WaitGroup
	err   errorOnce
}

// StartPong reads from every connection, answers pings, and takes any message for an
// error. The connections are the Pongers' from now on.
func StartPong(conns []*Conn) *Pongers {
	p := &Pongers{conns: conns}
	for _, c := range conns {
		c.Extend()
		c.pinged = func(payload []byte) error {
			c.Extend()
			_, err := c.nc.Write(AppendFrame(nil, final|opPong, payload, maskOf(3)))
			p.count.Add(1)
			return err
		}
		p.wg.Go(func() {
			f, err := c.wait()
			if p.stop.Load() {
				return
			}
			if err == nil {
				err = fmt.Errorf("a %s message (%.100q) in place of a ping", opName(f.op), f.payload)
			}
			p.err.set(err)
		})
	}
	return p
}

// Count is how many pings were answered so far.
func (p *Pongers) Count() int64 { return p.count.Load() }

// Err is the first error of any client so far.
func (p *Pongers) Err() error { return p.err.get() }

// Stop drops the connections and ends. The error is the first one before.
func (p *Pongers) Stop() error {
	p.stop.Store(true)
	CutAll(p.conns)
	p.wg.Wait()
	return p.err.get()
}
