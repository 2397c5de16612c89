package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/wsgateway/gateway"
)

// A checker knows every message that was sent, what its sender was told, and where it
// arrived.
type checker struct {
	mu    sync.Mutex
	sent  map[string]*message
	count map[string]int
	wrong []string
}

type message struct {
	target string // the socket's id
	sender string // one caller through one node: its messages keep their order
	seq    int
	fate   fate
	came   int
}

type fate int

const (
	unknown fate = iota // nobody can know
	acknowledged
	refused // certainly not delivered
)

func (c *checker) fail(format string, args ...any) {
	if len(c.wrong) < 20 {
		c.wrong = append(c.wrong, fmt.Sprintf(format, args...))
	}
}

func (c *checker) sending(text string, m *message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent[text] = m
}

// told notes what a sender was told.
func (c *checker) told(text string, f fate, word string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent[text].fate = f
	c.count[word]++
}

// A socket is one client's connection, with everything that came on it.
type socket struct {
	id, group string
	owner     *process
	ended     chan struct{}

	mu    sync.Mutex
	texts []string
	cut   bool // it ended before the test did
}

// open connects a client to a node; nil if that does not work.
func open(owner *process, group string) *socket {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws://"+owner.addr+"/ws?group="+group, nil)
	if err != nil {
		return nil
	}
	_, id, err := ws.Read(ctx)
	if err != nil {
		ws.CloseNow()
		return nil
	}
	s := &socket{id: string(id), group: group, owner: owner, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		defer ws.CloseNow()
		for {
			_, text, err := ws.Read(context.Background())
			s.mu.Lock()
			if s.cut = err != nil; s.cut {
				s.mu.Unlock()
				return
			}
			s.texts = append(s.texts, strings.TrimRight(string(text), padding))
			s.mu.Unlock()
		}
	}()
	return s
}

func (s *socket) open() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// has reports whether the message has come.
func (s *socket) has(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.texts, text)
}

// arrived checks what came on a socket.
func (c *checker) arrived(s *socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	last := map[string]int{}
	for _, text := range s.texts {
		m := c.sent[text]
		if m == nil {
			if !strings.HasPrefix(text, "probe") {
				c.fail("%q came, which nobody sent", text)
			}
			continue
		}
		m.came++
		switch seq := last[m.sender]; {
		case m.target != s.id:
			c.fail("%q for %s came to %s", text, m.target, s.id)
		case m.came > 1:
			c.fail("%q came %d times", text, m.came)
		case m.fate == refused:
			c.fail("%q came, although its sender was told that it would not", text)
		case m.seq <= seq:
			c.fail("%q came after number %d of the same sender", text, seq)
		default:
			last[m.sender] = m.seq
		}
		c.count["delivered"]++
	}
}

// settle checks that what was acknowledged came, but for sockets that have ended.
func (c *checker) settle(sockets []*socket) {
	ended := map[string]bool{}
	for _, s := range sockets {
		s.mu.Lock()
		ended[s.id] = s.cut
		s.mu.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for text, m := range c.sent {
		if m.fate == acknowledged && m.came == 0 && !ended[m.target] {
			c.fail("%q was acknowledged and did not come, and its socket is open", text)
		}
	}
}

func (c *checker) report(t *testing.T, took time.Duration) {
	t.Helper()
	words := make([]string, 0, len(c.count))
	for word, n := range c.count {
		words = append(words, fmt.Sprintf("%s %d", word, n))
	}
	slices.Sort(words)
	t.Logf("in %v %d messages were sent: %s", took.Round(time.Second), len(c.sent),
		strings.Join(words, ", "))
	for _, w := range c.wrong {
		t.Error(w)
	}
	if c.count["ok"] == 0 {
		t.Error("no message was acknowledged: the test shows nothing")
	}
}

// caller sends to one socket through one node after the other until the test is over.
func (r *run) caller(k int) {
	var s *socket
	for epoch := 0; r.ctx.Err() == nil; epoch++ {
		for (s == nil || !s.open()) && r.ctx.Err() == nil {
			if s = open(r.node(k+epoch), fmt.Sprintf("g%d-%d", k, epoch)); s != nil {
				r.add(s)
			}
			epoch++
		}
		if r.ctx.Err() != nil {
			return
		}
		via := r.node(k + epoch)
		sender := fmt.Sprintf("%d.%d", k, epoch)
		for seq := 1; seq <= 50 && r.ctx.Err() == nil && s.open(); seq++ {
			if !r.send(via, s, sender, seq) {
				break
			}
		}
	}
}

// padding makes a message longer; what is behind its text does not count.
const padding = "."

// send sends one message, and reports whether the next may go the same way: what a frozen
// node was asked for it may do later, in any order.
func (r *run) send(via *process, s *socket, sender string, seq int) bool {
	return r.sendText(via, s, sender, seq, "")
}

// sendText is send with something behind the text.
func (r *run) sendText(via *process, s *socket, sender string, seq int, behind string) bool {
	text := fmt.Sprintf("%s number %d", sender, seq)
	r.check.sending(text, &message{target: s.id, sender: sender, seq: seq})
	req := request{Do: "send", ID: s.id, Text: text + behind}
	if seq%3 == 0 && behind == "" {
		req = request{Do: "group", Group: s.group, Text: text}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	out, err := via.ask(ctx, req)
	switch {
	case err != nil:
		r.check.told(text, unknown, "no answer")
		return false
	case out.Err == nil && req.Do == "send":
		r.check.told(text, acknowledged, "ok")
	case out.N == 1: // perhaps with an error that names other nodes: nobody knows if they have members
		r.check.told(text, acknowledged, "ok")
	case out.Err == nil:
		r.check.told(text, refused, "no member known")
	case out.Err.Is(gateway.ErrTimeout):
		r.check.told(text, unknown, "timeout")
	default:
		r.check.told(text, refused, out.Err.Type)
	}
	return true
}
