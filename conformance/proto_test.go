package conformance_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/wsgateway/gateway/conformance/internal/labproc"
	"github.com/wsgateway/gateway/conformance/internal/raw"
)

func TestMain(m *testing.M) { labproc.Main(m) }

// A protoCase is one conversation with the echo route.
type protoCase struct {
	id, about string
	steps     []step
}

// A step does one thing on the connection and reports what went wrong.
type step func(c *raw.Conn) error

// runCases runs every case on a connection of its own.
func runCases(t *testing.T, cases []protoCase) {
	lab := labproc.Get(t)
	for _, pc := range cases {
		t.Run(pc.id, func(t *testing.T) {
			t.Parallel()
			c, resp, err := raw.Do(lab.Addr, raw.NewRequest(lab.Addr, "/echo"))
			if err != nil || c == nil {
				t.Fatalf("upgrade: %v, %+v", err, resp)
			}
			defer c.Cut()
			for i, s := range pc.steps {
				if err := s(c); err != nil {
					t.Fatalf("%s (%s): step %d: %v", pc.id, pc.about, i+1, err)
				}
			}
		})
	}
}

// Two ways to write what the steps expect.
func text[T ~string | ~[]byte](v T) raw.Event {
	return raw.Event{Kind: raw.Message, Opcode: raw.Text, Data: []byte(v)}
}
func bin[T ~string | ~[]byte](v T) raw.Event {
	return raw.Event{Kind: raw.Message, Opcode: raw.Binary, Data: []byte(v)}
}
func pong[T ~string | ~[]byte](v T) raw.Event {
	return raw.Event{Kind: raw.Ponged, Data: []byte(v)}
}

// send writes frames at once.
func send(frames ...raw.Frame) step { return cut(0, frames...) }

// each writes every frame on its own.
func each(frames ...raw.Frame) step {
	return func(c *raw.Conn) error {
		for _, f := range frames {
			if err := c.Send(f); err != nil {
				return err
			}
		}
		return nil
	}
}

// cut writes frames in segments of n bytes.
func cut(n int, frames ...raw.Frame) step { return bytesCut(n, raw.Encode(frames...)) }

// bytesCut writes bytes in segments of n. What the server refuses early it also
// stops reading, so that a failed write says nothing.
func bytesCut(n int, b []byte) step {
	return func(c *raw.Conn) error {
		_ = c.WriteCut(b, n)
		return nil
	}
}

// sent writes frames with fn, which is one of send, each and a cut.
type sent func(frames ...raw.Frame) step

func octetwise(frames ...raw.Frame) step { return cut(1, frames...) }

// want reads what must come, in order.
func want(evs ...raw.Event) step {
	return func(c *raw.Conn) error {
		for i, w := range evs {
			got, err := c.Next()
			if err != nil {
				return fmt.Errorf("reply %d: %w", i+1, err)
			}
			if got.Kind != w.Kind || got.Opcode != w.Opcode || !bytes.Equal(got.Data, w.Data) {
				return fmt.Errorf("reply %d is %s, not %s", i+1, show(got), show(w))
			}
		}
		return nil
	}
}

func show(ev raw.Event) string {
	switch {
	case ev.Kind == raw.Closed:
		return fmt.Sprintf("close %d %q", ev.Code, ev.Reason)
	case len(ev.Data) > 40:
		return fmt.Sprintf("%v of opcode %d, %d bytes %.20q...", ev.Kind, ev.Opcode, len(ev.Data),
			ev.Data)
	}
	return fmt.Sprintf("%v of opcode %d %q", ev.Kind, ev.Opcode, ev.Data)
}

// closedWith reads a close frame with one of the codes, and the end of TCP.
func closedWith(codes ...int) step {
	return func(c *raw.Conn) error {
		ev, err := c.Next()
		if err != nil {
			return err
		}
		if ev.Kind != raw.Closed || !slices.Contains(codes, ev.Code) {
			return fmt.Errorf("%s, not a close with %v", show(ev), codes)
		}
		return ends(c)
	}
}

// ends reads the end of TCP. A reset is one: the server need not have read all
// that came after what it closed for.
func ends(c *raw.Conn) error {
	ev, err := c.Next()
	if err == nil && ev.Kind < raw.End {
		err = fmt.Errorf("%s after the close frame", show(ev))
	}
	return err
}

// done closes as a client does, and wants the server's answer.
func done(c *raw.Conn) error { return c.Shut() }
