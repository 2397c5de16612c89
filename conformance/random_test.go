package conformance_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/wsgateway/gateway/conformance/internal/labproc"
	"github.com/wsgateway/gateway/conformance/internal/raw"
)

// Conversations made by chance: messages of all kinds and sizes, fragmented,
// compressed, with pings between, cut into segments anywhere. Every message comes
// back whole and in order, and every pong, too.
func TestRandomConversations(t *testing.T) {
	n := uint64(40)
	switch {
	case full:
		n = 400
	case labproc.Race:
		n = 10
	}
	for seed := range n {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 7692))
			c := openRandom(t, r)
			talk := randomTalk(c, r)
			wrote := make(chan error, 1)
			go func() { wrote <- writeRandomly(c, r, talk.bytes) }()
			for len(talk.messages) > 0 || len(talk.pongs) > 0 {
				ev, err := c.Next()
				if err != nil {
					t.Fatalf("%d messages and %d pongs are missing: %v", len(talk.messages), len(talk.pongs), err)
				}
				talk.take(t, ev)
			}
			if err := <-wrote; err != nil {
				t.Error(err)
			}
			if err := c.Shut(); err != nil {
				t.Error(err)
			}
		})
	}
}

// openRandom opens a connection to a server with or without compression.
func openRandom(t *testing.T, r *rand.Rand) *raw.Conn {
	t.Helper()
	if r.IntN(2) == 0 {
		return openDeflate(t, "permessage-deflate; client_max_window_bits")
	}
	lab := labproc.Get(t)
	c, resp, err := raw.Do(lab.Addr, raw.NewRequest(lab.Addr, "/echo"))
	if err != nil || c == nil {
		t.Fatalf("%v, %+v", err, resp)
	}
	t.Cleanup(c.Cut)
	return c
}

// A conversation is what is sent, and what must come back.
type conversation struct {
	bytes    []byte
	messages []raw.Event
	pongs    []raw.Event
}

func randomTalk(c *raw.Conn, r *rand.Rand) *conversation {
	talk := new(conversation)
	for range 30 + r.IntN(100) {
		op, p := byte(raw.Binary), make([]byte, randomSize(r))
		for i := range p {
			p[i] = byte(r.Uint32())
		}
		if r.IntN(2) == 0 {
			op, p = raw.Text, bytes.ToValidUTF8(p, []byte("€"))
		}
		talk.messages = append(talk.messages, raw.Event{Kind: raw.Message, Opcode: op, Data: p})
		for _, f := range randomFrames(c, r, op, p) {
			for r.IntN(8) == 0 {
				talk.ping(r)
			}
			talk.bytes = f.Append(talk.bytes)
		}
	}
	talk.ping(r)
	return talk
}

func (talk *conversation) ping(r *rand.Rand) {
	p := fmt.Append(nil, len(talk.pongs), bytes.Repeat([]byte("p"), r.IntN(120)))
	p = p[:min(len(p), 125)]
	talk.pongs = append(talk.pongs, raw.Event{Kind: raw.Ponged, Data: p})
	talk.bytes = raw.Whole(raw.Ping, p).Append(talk.bytes)
}

// take crosses off what has come.
func (talk *conversation) take(t *testing.T, ev raw.Event) {
	t.Helper()
	list := &talk.messages
	if ev.Kind == raw.Ponged {
		list = &talk.pongs
	}
	if len(*list) == 0 || ev.Kind != (*list)[0].Kind || ev.Opcode != (*list)[0].Opcode ||
		!bytes.Equal(ev.Data, (*list)[0].Data) {
		t.Fatalf("%s came with %d messages and %d pongs missing", show(ev), len(talk.messages),
			len(talk.pongs))
	}
	*list = (*list)[1:]
}

// randomSize is mostly small, often at an edge of the length encoding or of a
// buffer, and seldom large.
func randomSize(r *rand.Rand) int {
	edges := []int{0, 1, 125, 126, 127, 508, 512, 4090, 4096, 8186, 8192, 16384, 65535, 65536}
	switch r.IntN(10) {
	case 0:
		return r.IntN(200_000)
	case 1, 2, 3:
		return max(0, edges[r.IntN(len(edges))]+r.IntN(9)-4)
	}
	return r.IntN(300)
}

// randomFrames cuts a message into some frames, perhaps compressed, some of them
// empty.
func randomFrames(c *raw.Conn, r *rand.Rand, op byte, p []byte) []raw.Frame {
	rsv := byte(0)
	if d := c.Deflate(); d != nil && r.IntN(3) > 0 {
		p, rsv = raw.Deflated(p, r.IntN(10)), raw.RSV1
	}
	var parts [][]byte
	for r.IntN(2) == 0 && len(parts) < 20 {
		n := r.IntN(len(p) + 1)
		parts, p = append(parts, p[:n]), p[n:]
	}
	frames := raw.Fragments(op, append(parts, p)...)
	frames[0].RSV = rsv
	return frames
}

// writeRandomly writes in segments of all sizes.
func writeRandomly(c *raw.Conn, r *rand.Rand, b []byte) error {
	most := []int{3, 100, 3000, 100_000}[r.IntN(4)]
	for first := true; len(b) > 0; first = false {
		n := min(len(b), 1+r.IntN(most))
		if len(b) > 1_000*most && !first {
			n = min(len(b), 1000*most) // or it would take too long
		}
		if err := c.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
