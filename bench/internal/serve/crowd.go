package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/bench/internal/inmem"
)

// A crowd is the gateway with its defaults, and with sockets in memory: their
// clients are a part of the process, take everything, look at it, and say
// nothing. A hundred thousand of them need no descriptor. One goroutine at a
// time uses it.
type crowd struct {
	*ours
	clients []*crowdClient
	known   []string // the ids of their sockets
	groups  []gateway.Group
	size    int // members of each group
	opened  chan string

	// What was done so far, from which follows what each client has to have.
	sends, tells int
	to           int // sockets that get the sends

	sendTo func(id string) error
	plain  *registry[*crowdClient] // in place of the gateway

	missing atomic.Int64  // messages that are on their way
	arrived chan struct{} // they are all there
	wrong   chan error    // what a client got
}

func newCrowd(Config) (server, error) {
	c := &crowd{opened: make(chan string, 1), arrived: make(chan struct{}, 1),
		wrong: make(chan error, 1)}
	c.ours = onGateway(&gateway.Options{}, gateway.Callbacks{
		OnOpen: func(_ context.Context, s *gateway.Socket) error {
			c.opened <- s.ID()
			return nil
		},
	})
	c.sendTo = func(id string) error { return c.gw.Send(context.Background(), id, crowdMessage) }
	return c, nil
}

// newCrowdMap is what remains of a send without a gateway: a message is encoded
// and written to a client that is looked up in a map. What it costs more with
// more sockets are the processor's caches.
func newCrowdMap(cfg Config) (server, error) {
	s, err := newCrowd(cfg)
	c := s.(*crowd)
	c.plain = &registry[*crowdClient]{}
	c.sendTo = func(id string) error {
		client, err := c.plain.get(id)
		if err != nil {
			return err
		}
		frame := append([]byte{0x81, byte(len(crowdMessage.Data))}, crowdMessage.Data...)
		client.mu.Lock()
		defer client.mu.Unlock()
		_, err = client.Write(frame)
		return err
	}
	return c, err
}

// crowdMessage is what everybody gets, and crowdFrame how it has to arrive.
var (
	crowdMessage = gateway.Text(strings.Repeat("x", 64))
	crowdFrame   = append([]byte{0x81, byte(len(crowdMessage.Data))}, crowdMessage.Data...)
)

// stride is prime to all numbers of sockets. Neighbours among the sockets were
// made one after another, and would be neighbours in the processor's caches.
const stride = 7919

// patience is how long messages may be on their way.
const patience = time.Minute

// do does what a [Crowd] says.
func (c *crowd) do(w Crowd) error {
	ctx := context.Background()
	switch w.Do {
	case CrowdOpen:
		return c.open(w.N)
	case CrowdGroup:
		return c.group(ctx, w.N, w.Of)
	case CrowdSend:
		c.to = w.To
		return c.batches(w, 1, func() error {
			c.sends++
			return c.sendTo(c.known[c.addressee(c.sends)])
		})
	case CrowdTell:
		return c.batches(w, c.size, func() error {
			c.tells++
			n, err := c.groups[c.tells*stride%len(c.groups)].Send(ctx, crowdMessage)
			if err == nil && n != c.size {
				err = fmt.Errorf("%d of %d members took a message", n, c.size)
			}
			return err
		})
	case CrowdRejoin:
		for i := range w.N {
			id := c.known[i*stride%len(c.known)]
			if err := errors.Join(c.groups[0].Leave(ctx, id), c.groups[0].Join(ctx, id)); err != nil {
				return err
			}
		}
		return nil
	case CrowdCheck:
		return c.check()
	}
	return fmt.Errorf("a crowd cannot %q", w.Do)
}

// addressee is the number of the socket that gets the i-th send: those that get
// any are spread over all.
func (c *crowd) addressee(i int) int { return i * stride % c.to * (len(c.known) / c.to) }

// open adds n sockets.
func (c *crowd) open(n int) error {
	for range n {
		if c.plain != nil {
			client := &crowdClient{crowd: c}
			c.clients = append(c.clients, client)
			c.known = append(c.known, c.plain.add(client))
			continue
		}
		client := &crowdClient{crowd: c}
		if _, err := inmem.Open(c.gw, client.Write); err != nil {
			return err
		}
		c.clients = append(c.clients, client)
		c.known = append(c.known, <-c.opened)
	}
	return nil
}

// group makes n groups of so many members, who are in as many groups each as
// the others.
func (c *crowd) group(ctx context.Context, n, members int) error {
	c.size = members
	for i := range n {
		g := c.gw.Group(fmt.Sprintf("room-%d", i))
		for k := range members {
			if err := g.Join(ctx, c.known[(i+k)%len(c.known)]); err != nil {
				return err
			}
		}
		c.groups = append(c.groups, g)
	}
	return nil
}

// batches calls send w.N times, w.Of at a time, and then waits until what they
// send has arrived, which is so many messages each.
func (c *crowd) batches(w Crowd, each int, send func() error) error {
	for done := 0; done < w.N; done += w.Of {
		c.missing.Add(int64(w.Of * each))
		for range w.Of {
			if err := send(); err != nil {
				return err
			}
		}
		select {
		case <-c.arrived:
		case err := <-c.wrong:
			return err
		case <-time.After(patience):
			return fmt.Errorf("%d messages are missing after %v", c.missing.Load(), patience)
		}
	}
	return nil
}

// check says whether each client has got as many messages as it should.
func (c *crowd) check() error {
	want := make([]int64, len(c.clients))
	for i := range c.sends {
		want[c.addressee(i+1)]++
	}
	for i := range c.tells {
		for k := range c.size {
			want[((i+1)*stride%len(c.groups)+k)%len(want)]++
		}
	}
	for i, client := range c.clients {
		if got := client.got.Load(); got != want[i] {
			return fmt.Errorf("client %d got %d messages, want %d", i, got, want[i])
		}
	}
	return nil
}

// A crowdClient is a client.
type crowdClient struct {
	crowd *crowd
	got   atomic.Int64 // messages
	mu    sync.Mutex   // around writes, where there is no gateway
}

// Write takes what the gateway writes, which is whole frames.
func (c *crowdClient) Write(p []byte) (int, error) {
	n := int64(0)
	for rest := p; len(rest) > 0; {
		switch {
		case bytes.HasPrefix(rest, crowdFrame):
			rest = rest[len(crowdFrame):]
			n++
		// no workload is so long that a pong is due
		case rest[0] == 0x89 && len(rest) >= 2 && len(rest) >= 2+int(rest[1]):
			rest = rest[2+int(rest[1]):]
		case bytes.HasPrefix(rest, []byte("HTTP/1.1 101 ")):
			rest = nil
		default:
			select {
			case c.crowd.wrong <- fmt.Errorf("a client got %.100q", rest):
			default: // it is not the first
			}
			return 0, io.ErrUnexpectedEOF
		}
	}
	if n > 0 {
		c.got.Add(n)
		if c.crowd.missing.Add(-n) == 0 {
			c.crowd.arrived <- struct{}{}
		}
	}
	return len(p), nil
}
