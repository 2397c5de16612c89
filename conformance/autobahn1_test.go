package conformance_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/wsgateway/gateway/conformance/internal/raw"
)

// The numbers are those of the Autobahn test suite, whose expectations these
// tables restate.

func TestAutobahn1Framing(t *testing.T) {
	var cases []protoCase
	sizes := []int{0, 125, 126, 127, 128, 65535, 65536, 65536}
	for group, op := range []byte{raw.Text, raw.Binary} {
		for i, n := range sizes {
			segment := 0
			if i == len(sizes)-1 {
				segment = 997
			}
			p := bytes.Repeat([]byte{'*'}, n)
			reply := raw.Event{Kind: raw.Message, Opcode: op, Data: p}
			cases = append(cases, protoCase{
				fmt.Sprintf("1.%d.%d", group+1, i+1), fmt.Sprintf("%d bytes", n),
				[]step{cut(segment, raw.Whole(op, p)), want(reply), done},
			})
		}
	}
	runCases(t, cases)
}

func TestAutobahn2PingPong(t *testing.T) {
	octets := strings.Repeat("\xfe", 125)
	ping := func(p string) raw.Frame { return raw.Whole(raw.Ping, []byte(p)) }
	unasked := func(p string) raw.Frame { return raw.Whole(raw.Pong, []byte(p)) }
	var ten []raw.Frame
	var tenPongs []raw.Event
	for i := range 10 {
		p := fmt.Sprintf("payload-%d", i)
		ten, tenPongs = append(ten, ping(p)), append(tenPongs, pong(p))
	}
	// Unasked pongs have no answer: what comes next is that of the ping behind.
	runCases(t, []protoCase{
		{"2.1", "empty ping", []step{send(ping("")), want(pong("")), done}},
		{"2.2", "ping with text", []step{send(ping("Hello, world!")), want(pong("Hello, world!")), done}},
		{"2.3", "ping with bytes",
			[]step{send(ping("\x00\xff\xfe\xfd\xfc\xfb\x00\xff")),
				want(pong("\x00\xff\xfe\xfd\xfc\xfb\x00\xff")), done}},
		{"2.4", "125 bytes", []step{send(ping(octets)), want(pong(octets)), done}},
		{"2.5", "126 bytes", []step{send(ping(octets + "\xfe")), closedWith(1002)}},
		{"2.6", "125 bytes, one by one", []step{cut(1, ping(octets)), want(pong(octets)), done}},
		{"2.7", "unasked empty pong", []step{send(unasked("")), done}},
		{"2.8", "unasked pong with text", []step{send(unasked("unasked")), done}},
		{"2.9", "unasked pong, then ping",
			[]step{send(unasked("unasked"), ping("asked")), want(pong("asked")), done}},
		{"2.10", "ten pings", []step{send(ten...), want(tenPongs...), done}},
		{"2.11", "ten pings, byte by byte", []step{cut(1, ten...), want(tenPongs...), done}},
	})
}

func TestAutobahn3ReservedBits(t *testing.T) {
	hello, ping := []byte("Hello, world!"), raw.Whole(raw.Ping, nil)
	first := raw.Whole(raw.Text, hello)
	bits := func(rsv, op byte) raw.Frame {
		return raw.Frame{Fin: true, RSV: rsv, Opcode: op, Payload: hello}
	}
	closing := raw.Close(1000, "")
	closing.RSV = 7
	runCases(t, []protoCase{
		{"3.1", "RSV 1 in text", []step{send(bits(1, raw.Text)), closedWith(1002)}},
		{"3.2", "RSV 2 in the second text",
			[]step{send(first, bits(2, raw.Text), ping), want(text(hello)), closedWith(1002)}},
		{"3.3", "RSV 3, frame by frame",
			[]step{each(first, bits(3, raw.Text), ping), want(text(hello)), closedWith(1002)}},
		{"3.4", "RSV 4, byte by byte",
			[]step{cut(1, first, bits(4, raw.Text), ping), want(text(hello)), closedWith(1002)}},
		{"3.5", "RSV 5 in binary", []step{send(bits(5, raw.Binary)), closedWith(1002)}},
		{"3.6", "RSV 6 in ping", []step{send(bits(6, raw.Ping)), closedWith(1002)}},
		{"3.7", "RSV 7 in close", []step{send(closing), closedWith(1002)}},
	})
}

func TestAutobahn4Opcodes(t *testing.T) {
	hello, ping := []byte("Hello, world!"), raw.Whole(raw.Ping, nil)
	first := raw.Whole(raw.Text, hello)
	var cases []protoCase
	for group, ops := range [][]byte{{3, 4, 5, 6, 7}, {11, 12, 13, 14, 15}} {
		for i, op := range ops {
			var payload []byte
			if i%2 == 1 || i == 4 {
				payload = []byte("reserved opcode")
			}
			bad := raw.Whole(op, payload)
			steps := []step{send(bad), closedWith(1002)}
			switch i {
			case 2:
				steps = []step{send(first, bad, ping), want(text(hello)), closedWith(1002)}
			case 3:
				steps = []step{each(first, bad, ping), want(text(hello)), closedWith(1002)}
			case 4:
				steps = []step{cut(1, first, bad, ping), want(text(hello)), closedWith(1002)}
			}
			cases = append(cases,
				protoCase{fmt.Sprintf("4.%d.%d", group+1, i+1), fmt.Sprintf("opcode %d", op), steps})
		}
	}
	runCases(t, cases)
}

func TestAutobahn5Fragmentation(t *testing.T) {
	part := func(op byte, p string, fin bool) raw.Frame {
		return raw.Frame{Fin: fin, Opcode: op, Payload: []byte(p)}
	}
	two := []raw.Frame{part(raw.Text, "fragment1", false), part(raw.Continuation, "fragment2", true)}
	whole := text("fragment1fragment2")
	ping := raw.Whole(raw.Ping, []byte("ping"))
	between := []raw.Frame{two[0], ping, two[1]}
	var cases []protoCase
	add := func(id, about string, steps ...step) { cases = append(cases, protoCase{id, about, steps}) }

	add("5.1", "fragmented ping", send(part(raw.Ping, "fragment1", false), two[1]), closedWith(1002))
	add("5.2", "fragmented pong", send(part(raw.Pong, "fragment1", false), two[1]), closedWith(1002))
	ways := []sent{send, each, octetwise}
	for i, way := range ways {
		add(fmt.Sprint("5.", 3+i), "two fragments", way(two...), want(whole), done)
		add(fmt.Sprint("5.", 6+i), "ping between two fragments", way(between...),
			want(pong("ping"), whole), done)
		hello := raw.Whole(raw.Text, []byte("Hello, world!"))
		add(fmt.Sprint("5.", 9+i), "last continuation of nothing",
			way(part(raw.Continuation, "of nothing", true), hello), closedWith(1002))
		add(fmt.Sprint("5.", 12+i), "continuation of nothing",
			way(part(raw.Continuation, "of nothing", false), hello), closedWith(1002))
	}
	add("5.15", "message, then continuation of nothing",
		send(append(slices.Clone(two), part(raw.Continuation, "of nothing", false),
			raw.Whole(raw.Text, nil))...), want(whole), closedWith(1002))
	for i, fin := range []bool{false, true} {
		stray := part(raw.Continuation, "of nothing", fin)
		add(fmt.Sprint("5.", 16+i), "continuation of nothing before each message",
			send(stray, two[0], two[1], stray, two[0], two[1]), closedWith(1002))
	}
	add("5.18", "text inside a text", send(two[0], part(raw.Text, "fragment2", true)),
		closedWith(1002))
	five := raw.Fragments(raw.Text, []byte("fragment1"), []byte("fragment2"), []byte("fragment3"),
		[]byte("fragment4"), []byte("fragment5"))
	ping1, ping2 := raw.Whole(raw.Ping, []byte("pongme 1!")), raw.Whole(raw.Ping, []byte("pongme 2!"))
	for i, way := range []sent{send, octetwise} {
		// The answer to the first ping is the pause between the two halves.
		add(fmt.Sprint("5.", 19+i), "five fragments and two pings",
			way(five[0], five[1], ping1), want(pong("pongme 1!")),
			way(five[2], five[3], ping2, five[4]),
			want(pong("pongme 2!"), text("fragment1fragment2fragment3fragment4fragment5")), done)
	}
	runCases(t, cases)
}
