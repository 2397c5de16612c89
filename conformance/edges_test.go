package conformance_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wsgateway/gateway/conformance/internal/labproc"
	"github.com/wsgateway/gateway/conformance/internal/raw"
)

func TestEdgesMasking(t *testing.T) {
	unmasked := func(op byte, p string) raw.Frame {
		f := raw.Whole(op, []byte(p))
		f.Unmasked = true
		return f
	}
	closing := raw.Close(1000, "")
	closing.Unmasked = true
	zero := raw.Whole(raw.Text, []byte("plain"))
	zero.ZeroMask = true
	fragment := unmasked(raw.Continuation, "rest")
	runCases(t, []protoCase{
		{"text", "unmasked", []step{send(unmasked(raw.Text, "hello")), closedWith(1002)}},
		{"empty text", "unmasked", []step{send(unmasked(raw.Text, "")), closedWith(1002)}},
		{"binary", "unmasked", []step{send(unmasked(raw.Binary, "hello")), closedWith(1002)}},
		{"ping", "unmasked", []step{send(unmasked(raw.Ping, "")), closedWith(1002)}},
		{"pong", "unmasked", []step{send(unmasked(raw.Pong, "")), closedWith(1002)}},
		{"close", "unmasked", []step{send(closing), closedWith(1002)}},
		{"large", "unmasked",
			[]step{send(unmasked(raw.Binary, strings.Repeat("x", 100000))), closedWith(1002)}},
		{"second message", "unmasked",
			[]step{send(raw.Whole(raw.Text, []byte("a")), unmasked(raw.Text, "b")), want(text("a")),
				closedWith(1002)}},
		{"second fragment", "unmasked",
			[]step{send(raw.Frame{Opcode: raw.Text, Payload: []byte("a")}, fragment), closedWith(1002)}},
		{"key of zeros", "a mask all the same", []step{send(zero), want(text("plain")), done}},
	})
}

func TestEdgesLength(t *testing.T) {
	announce := func(op byte, n uint64) []byte {
		return raw.Encode(raw.Frame{Fin: true, Opcode: op, Announce: &n})
	}
	long := func(n, bits int) raw.Frame {
		f := raw.Whole(raw.Binary, bytes.Repeat([]byte("x"), n))
		f.Long = bits
		return f
	}
	longControl := func(bits int) raw.Frame {
		f := raw.Whole(raw.Ping, []byte("ping"))
		f.Long = bits
		return f
	}
	var cases []protoCase
	// Refused at once: the announced bytes never come.
	for name, n := range map[string]uint64{"one above the limit": 16<<20 + 1, "1 GiB": 1 << 30,
		"4 GiB": 1 << 32, "2^62": 1 << 62, "2^63-1": 1<<63 - 1} {
		cases = append(cases,
			protoCase{name, "announced", []step{bytesCut(0, announce(raw.Binary, n)), closedWith(1009)}})
		cases = append(cases,
			protoCase{name + " of text", "announced",
				[]step{bytesCut(0, announce(raw.Text, n)), closedWith(1009)}})
	}
	for name, n := range map[string]uint64{"2^63": 1 << 63, "2^64-1": 1<<64 - 1} {
		cases = append(cases,
			protoCase{name, "a negative length",
				[]step{bytesCut(0, announce(raw.Binary, n)), closedWith(1002)}})
	}
	// RFC 6455, 5.2: the minimal number of bytes MUST be used. A server may
	// accept more, as most do, or close with 1002.
	for _, f := range []struct {
		name  string
		frame raw.Frame
	}{{"0 in 16 bits", long(0, 16)}, {"5 in 16 bits", long(5, 16)}, {"125 in 16 bits", long(125, 16)},
		{"5 in 64 bits", long(5, 64)}, {"65535 in 64 bits", long(65535, 64)}} {
		cases = append(cases,
			protoCase{f.name, "length not minimal",
				[]step{send(f.frame), replyOrClose(bin(f.frame.Payload), 1002)}})
	}
	cases = append(cases,
		protoCase{"ping in 16 bits", "length not minimal",
			[]step{send(longControl(16)), replyOrClose(pong("ping"), 1002)}},
		protoCase{"ping in 64 bits", "length not minimal",
			[]step{send(longControl(64)), replyOrClose(pong("ping"), 1002)}},
		protoCase{"limit", "exactly", []step{repeat(1, raw.Binary, make([]byte, 16<<20)), done}},
		protoCase{"fragments above the limit", "in sum", []step{
			send(raw.Fragments(raw.Binary, raw.Cut(make([]byte, 16<<20+1), 1<<20)...)...),
			closedWith(1009)}},
	)
	runCases(t, cases)
}

// replyOrClose wants either the reply and an open socket, or a close.
func replyOrClose(reply raw.Event, code int) step {
	return func(c *raw.Conn) error {
		ev, err := c.Next()
		switch {
		case err != nil:
			return err
		case ev.Kind == raw.Closed && ev.Code == code:
			return ends(c)
		case ev.Kind == reply.Kind && bytes.Equal(ev.Data, reply.Data):
			return c.Shut()
		}
		return fmt.Errorf("%s, want %s or close %d", show(ev), show(reply), code)
	}
}

func TestEdgesControl(t *testing.T) {
	var cases []protoCase
	add := func(id, about string, steps ...step) { cases = append(cases, protoCase{id, about, steps}) }
	for name, op := range map[string]byte{"ping": raw.Ping, "pong": raw.Pong, "close": raw.CloseOp} {
		p := []byte("\x03\xe8")
		add(name+" not final", "fragmented", send(raw.Frame{Opcode: op, Payload: p}), closedWith(1002))
		add(name+" of 126", "too long", send(raw.Whole(op, append(p, make([]byte, 124)...))),
			closedWith(1002))
		add(name+" of 70000", "too long", send(raw.Whole(op, append(p, make([]byte, 70000)...))),
			closedWith(1002))
		n := uint64(1) << 40
		add(name+" of 2^40", "announced",
			bytesCut(0, raw.Encode(raw.Frame{Fin: true, Opcode: op, Announce: &n})), closedWith(1002))
	}
	parts := raw.Fragments(raw.Text, []byte("a"), []byte("b"), []byte("c"))
	ping := func(p string) raw.Frame { return raw.Whole(raw.Ping, []byte(p)) }
	add("pings between fragments", "",
		send(parts[0], ping("1"), ping("2"), parts[1], raw.Whole(raw.Pong, nil), parts[2]),
		want(pong("1"), pong("2"), text("abc")), done)
	// RFC 6455, 5.5.3 lets a server answer only the latest of several pings;
	// ours answers all.
	var burst []raw.Frame
	var pongs []raw.Event
	for i := range 100 {
		p := fmt.Sprint(i)
		burst, pongs = append(burst, ping(p)), append(pongs, pong(p))
	}
	add("100 pings", "at once", send(burst...), want(pongs...), done)
	hello := raw.Whole(raw.Text, []byte("hello"))
	add("ping among messages", "replies keep the order",
		send(hello, ping("1"), hello, hello, ping("2"), ping("3"), hello),
		want(text("hello"), pong("1"), text("hello"), text("hello"), pong("2"), pong("3"), text("hello")),
		done)
	add("ping behind a large message", "replies keep the order",
		send(raw.Whole(raw.Binary, make([]byte, 200_000)), ping("1")),
		want(bin(make([]byte, 200_000)), pong("1")), done)
	for _, bits := range []byte{raw.RSV1, raw.RSV2, raw.RSV3} {
		for name, op := range map[string]byte{"text": raw.Text, "ping": raw.Ping, "close": raw.CloseOp} {
			add(fmt.Sprintf("bits %03b in %s", bits, name), "nothing agreed",
				send(raw.Frame{Fin: true, RSV: bits, Opcode: op}), closedWith(1002))
		}
		bad := parts[1]
		bad.RSV = bits
		add(fmt.Sprintf("bits %03b in continuation", bits), "nothing agreed", send(parts[0], bad),
			closedWith(1002))
	}
	for op := range byte(16) {
		switch op {
		case raw.Continuation, raw.Text, raw.Binary, raw.CloseOp, raw.Ping, raw.Pong:
			continue
		}
		add(fmt.Sprint("opcode ", op, " inside a message"), "reserved",
			send(parts[0], raw.Whole(op, nil)), closedWith(1002))
		add(fmt.Sprint("opcode ", op, " not final"), "reserved", send(raw.Frame{Opcode: op}),
			closedWith(1002))
	}
	runCases(t, cases)
}

func TestEdgesCloseCodes(t *testing.T) {
	var cases []protoCase
	for code := range 70 {
		code += 990
		reply := 1002
		if raw.ValidCode(code) {
			reply = code
		}
		steps := []step{send(raw.Close(code, "why")), closedWith(reply)}
		if code >= 1012 && code <= 1014 {
			// Registered after RFC 6455: servers differ.
			steps[1] = closedWith(code, 1002)
		}
		cases = append(cases, protoCase{fmt.Sprint(code), "close code", steps})
	}
	for name, reason := range map[string]string{"a surrogate": "\xed\xa0\x80",
		"cut short": "ok\xe2\x82", "overlong": "\xc0\xaf",
		"at the end": strings.Repeat("x", 122) + "\xff"} {
		cases = append(cases,
			protoCase{"reason: " + name, "not UTF-8",
				[]step{send(raw.Close(1000, reason)), closedWith(1007)}})
	}
	cases = append(cases,
		protoCase{"reason in UTF-8", "valid",
			[]step{send(raw.Close(4001, "grüß dich, κόσμε")), closedWith(4001)}},
		protoCase{"one byte", "invalid",
			[]step{send(raw.Whole(raw.CloseOp, []byte{3})), closedWith(1002)}},
	)
	runCases(t, cases)
}

func TestEdgesUTF8(t *testing.T) {
	parts := func(op byte, p ...string) []raw.Frame {
		var b [][]byte
		for _, s := range p {
			b = append(b, []byte(s))
		}
		return raw.Fragments(op, b...)
	}
	open := func(s string) raw.Frame { return parts(raw.Text, s, "")[0] }
	large := strings.Repeat("é", 40000)
	half := strings.Repeat("x", 70000)
	bad := raw.Encode(raw.Whole(raw.Text, []byte(half+"\xff"+half)))
	runCases(t, []protoCase{
		{"code point across fragments", "",
			[]step{send(parts(raw.Text, "\xf0\x9f", "\x98", "\x80")...), want(text("😀")), done}},
		{"code point across empty fragments", "",
			[]step{send(parts(raw.Text, "\xf0", "", "\x9f", "", "\x98\x80")...), want(text("😀")), done}},
		{"ping inside a code point", "",
			[]step{send(open("\xe2"), raw.Whole(raw.Ping, nil),
				raw.Fragments(raw.Text, nil, []byte("\x82\xac"))[1]), want(pong(""), text("€")), done}},
		{"cut short at the end", "", []step{send(parts(raw.Text, "a", "\xe2\x82")...), closedWith(1007)}},
		{"bad first fragment", "the rest never comes", []step{send(open("a\xff")), closedWith(1007)}},
		{"bad middle of a large frame", "the rest never comes",
			[]step{bytesCut(0, bad[:len(bad)-len(half)]), closedWith(1007)}},
		{"large valid", "", []step{send(raw.Whole(raw.Text, []byte(large))), want(text(large)), done}},
		{"binary is not checked", "",
			[]step{send(raw.Whole(raw.Binary, []byte("\xff\xfe"))), want(bin("\xff\xfe")), done}},
		{"binary after text", "each its own",
			[]step{send(raw.Whole(raw.Text, []byte("a")), raw.Whole(raw.Binary, []byte("\xff"))),
				want(text("a"), bin("\xff")), done}},
		{"byte order mark", "stays",
			[]step{send(raw.Whole(raw.Text, []byte("\ufeffa"))), want(text("\ufeffa")), done}},
		{"NUL", "stays", []step{send(raw.Whole(raw.Text, []byte("a\x00b"))), want(text("a\x00b")), done}},
	})
}

// What comes behind a close frame is not looked at, whatever it is.
func TestEdgesAfterClose(t *testing.T) {
	closing := raw.Close(1000, "bye")
	garbage := bytes.Repeat([]byte{0xff}, 4000)
	runCases(t, []protoCase{
		{"text", "", []step{send(closing, raw.Whole(raw.Text, []byte("late"))), closedWith(1000)}},
		{"bad text", "", []step{send(closing, raw.Whole(raw.Text, []byte("\xff"))), closedWith(1000)}},
		{"another code", "", []step{send(closing, raw.Close(4000, "")), closedWith(1000)}},
		{"garbage", "", []step{bytesCut(0, append(raw.Encode(closing), garbage...)), closedWith(1000)}},
		{"replies first", "",
			[]step{send(raw.Whole(raw.Text, []byte("a")), raw.Whole(raw.Text, []byte("b")), closing),
				want(text("a"), text("b")), closedWith(1000)}},
		{"garbage instead of a frame", "", []step{bytesCut(0, garbage), closedWith(1002)}},
		{"an HTTP request instead of a frame", "",
			[]step{bytesCut(0, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")), closedWith(1002)}},
	})
}

// The default limit of a route is 64 KiB.
func TestEdgesDefaultLimit(t *testing.T) {
	lab := labproc.Get(t)
	for _, tc := range []struct {
		name string
		send raw.Frame
		code int
	}{
		{"exactly", raw.Whole(raw.Binary, make([]byte, 64<<10)), 0},
		{"one more", raw.Whole(raw.Binary, make([]byte, 64<<10+1)), 1009},
	} {
		c, resp, err := raw.Do(lab.Addr, raw.NewRequest(lab.Addr, "/rate"))
		if err != nil || c == nil {
			t.Fatalf("%s: %v, %+v", tc.name, err, resp)
		}
		steps := []step{send(tc.send), want(bin(tc.send.Payload)), done}
		if tc.code != 0 {
			steps = []step{send(tc.send), closedWith(tc.code)}
		}
		for _, s := range steps {
			if err := s(c); err != nil {
				t.Errorf("%s: %v", tc.name, err)
				break
			}
		}
		c.Cut()
	}
}

// A frame cut anywhere, with the connection ended there, disturbs nobody.
func TestEdgesCutAnywhere(t *testing.T) {
	lab := labproc.Get(t)
	frame := raw.Encode(raw.Whole(raw.Text, bytes.Repeat([]byte("x"), 300)))
	for n := range 20 {
		c, resp, err := raw.Do(lab.Addr, raw.NewRequest(lab.Addr, "/echo"))
		if err != nil || c == nil {
			t.Fatalf("%v, %+v", err, resp)
		}
		if err := c.Write(frame[:n]); err != nil {
			t.Error(err)
		}
		if n%2 == 0 {
			c.Cut()
		} else {
			c.Abort()
		}
	}
	labproc.Await(t, 10*time.Second, func() error {
		c, _, err := raw.Do(lab.Addr, raw.NewRequest(lab.Addr, "/echo"))
		if err != nil {
			return err
		}
		defer c.Cut()
		return c.Echo(raw.Text, []byte("still here"))
	})
}
