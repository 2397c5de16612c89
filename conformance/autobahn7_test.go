package conformance_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/wsgateway/gateway/conformance/internal/labproc"
	"github.com/wsgateway/gateway/conformance/internal/raw"
)

func TestAutobahn7Close(t *testing.T) {
	var cases []protoCase
	add := func(id, about string, steps ...step) { cases = append(cases, protoCase{id, about, steps}) }
	hello, closing := raw.Whole(raw.Text, []byte("Hello World!")), raw.Close(1000, "")
	ping := raw.Whole(raw.Ping, []byte("ping"))
	parts := raw.Fragments(raw.Text, []byte("fragment1"), []byte("fragment2"))
	large := bytes.Repeat([]byte("BAsd7&jh23"), 26214)

	add("7.1.1", "text, then close", send(hello), want(text("Hello World!")), done)
	add("7.1.2", "two close frames", send(closing, closing), closedWith(1000))
	add("7.1.3", "ping after close", send(closing, ping), closedWith(1000))
	add("7.1.4", "text after close", send(closing, hello), closedWith(1000))
	add("7.1.5", "close inside a message", send(parts[0], closing, parts[1]), closedWith(1000))
	add("7.1.6", "large text, close, ping", send(raw.Whole(raw.Text, large), closing, ping),
		want(text(large)), closedWith(1000))

	add("7.3.1", "close without payload", send(raw.Whole(raw.CloseOp, nil)), closedWith(1000, 1005))
	add("7.3.2", "close of one byte", send(raw.Whole(raw.CloseOp, []byte("a"))), closedWith(1002))
	add("7.3.3", "close with a code", send(closing), closedWith(1000))
	add("7.3.4", "close with a reason", send(raw.Close(1000, "Hello World!")), closedWith(1000))
	add("7.3.5", "reason of 123 bytes", send(raw.Close(1000, strings.Repeat("*", 123))),
		closedWith(1000))
	add("7.3.6", "reason of 124 bytes", send(raw.Close(1000, strings.Repeat("*", 124))),
		closedWith(1002))
	add("7.5.1", "reason that is not UTF-8", send(raw.Close(1000, kosme+"\xed\xa0\x80edited")),
		closedWith(1007))

	for i, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000,
		4999} {
		add(fmt.Sprint("7.7.", i+1), fmt.Sprint("code ", code), send(raw.Close(code, "")),
			closedWith(code))
	}
	for i, code := range []int{0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999} {
		add(fmt.Sprint("7.9.", i+1), fmt.Sprint("code ", code), send(raw.Close(code, "")),
			closedWith(1002))
	}
	for i, code := range []int{5000, 65535} {
		add(fmt.Sprint("7.13.", i+1), fmt.Sprint("code ", code), send(raw.Close(code, "")),
			closedWith(1002))
	}
	runCases(t, cases)
}

func TestAutobahn9Limits(t *testing.T) {
	const kib, mib = 1 << 10, 1 << 20
	var cases []protoCase
	add := func(group, i int, about string, steps ...step) {
		cases = append(cases, protoCase{fmt.Sprintf("9.%d.%d", group, i+1), about, append(steps, done)})
	}
	for g, op := range []byte{raw.Text, raw.Binary} {
		payload := func(n int) ([]byte, raw.Event) {
			p := bytes.Repeat([]byte("*"), n)
			return p, raw.Event{Kind: raw.Message, Opcode: op, Data: p}
		}
		for i, n := range []int{64 * kib, 256 * kib, mib, 4 * mib, 8 * mib, 16 * mib} {
			p, reply := payload(n)
			add(1+g, i, fmt.Sprint(n, " bytes"), send(raw.Whole(op, p)), want(reply))
		}
		for i, size := range []int{64, 256, kib, 4 * kib, 16 * kib, 64 * kib, 256 * kib, mib, 4 * mib} {
			p, reply := payload(4 * mib)
			add(3+g, i, fmt.Sprint("4 MiB in fragments of ", size),
				send(raw.Fragments(op, raw.Cut(p, size)...)...), want(reply))
		}
		for i, n := range []int{64, 128, 256, 512, 1024, 2048} {
			p, reply := payload(mib)
			add(5+g, i, fmt.Sprint("1 MiB in segments of ", n), cut(n, raw.Whole(op, p)), want(reply))
		}
		for i, n := range []int{0, 16, 64, 256, 1024, 4096} {
			p, _ := payload(n)
			count := 1000
			if labproc.Race && !full {
				count = 200 // the rest would tell nothing new about races
			}
			add(7+g, i, fmt.Sprintf("%d messages of %d", count, n), repeat(count, op, p))
		}
	}
	runCases(t, cases)
}

// repeat echoes a message n times, one after the other.
func repeat(n int, op byte, p []byte) step {
	return func(c *raw.Conn) error {
		for i := range n {
			if err := c.Echo(op, p); err != nil {
				return fmt.Errorf("message %d: %w", i+1, err)
			}
		}
		return nil
	}
}

func TestAutobahn10AutoFragment(t *testing.T) {
	p := slices.Repeat([]byte("*"), 65536)
	runCases(t, []protoCase{
		{"10.1.1", "64 KiB in fragments of 1300",
			[]step{send(raw.Fragments(raw.Text, raw.Cut(p, 1300)...)...), want(text(p)), done}},
	})
}
