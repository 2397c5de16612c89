package conformance_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/wsgateway/gateway/conformance/internal/labproc"
	"github.com/wsgateway/gateway/conformance/internal/raw"
)

// openDeflate opens a connection to /echo with an offer. Both sides agree about
// compression, or the test ends.
func openDeflate(t *testing.T, offer string) *raw.Conn {
	t.Helper()
	lab := labproc.Get(t, "-deflate")
	c, resp, err := raw.Do(lab.Addr,
		raw.NewRequest(lab.Addr, "/echo").Add("Sec-WebSocket-Extensions", offer))
	if err != nil || c == nil {
		t.Fatalf("%s: %v, %+v", offer, err, resp)
	}
	t.Cleanup(c.Cut)
	if c.Deflate() == nil {
		t.Fatalf("%s: declined", offer)
	}
	return c
}

// An offer is accepted, declined, or, where RFC 7692 leaves it to the server,
// either. Whatever it is, the connection opens and echoes.
func TestDeflateOffers(t *testing.T) {
	const p = "permessage-deflate"
	accepted := []string{
		p, p + "; client_max_window_bits", p + "; client_max_window_bits=15",
		p + ";client_max_window_bits=15",
		p + "; client_no_context_takeover", p + "; server_no_context_takeover",
		p + "; server_no_context_takeover; client_no_context_takeover", p + "; server_max_window_bits=15",
		"foo, " + p, p + ", foo", "foo; bar=1, " + p + "; client_max_window_bits",
		p + "; unknown=1, " + p, p + "; client_max_window_bits=7, " + p, p + ", " + p,
		`foo; a="x, y", ` + p, // a comma in a quoted string ends no offer
	}
	either := []string{
		p + "; client_max_window_bits=8", p + "; client_max_window_bits=9",
		p + "; client_max_window_bits=14",
		p + "; server_max_window_bits=8", p + "; server_max_window_bits=9",
		p + "; server_max_window_bits=14",
		p + `; server_max_window_bits="15"`, p + `; client_max_window_bits="15"`,
		p + " ; client_max_window_bits", p + "; client_max_window_bits = 15",
		"Permessage-Deflate", p + ";", p + "; Client_No_Context_Takeover",
	}
	declined := []string{
		p + "; unknown", p + "; unknown=1", p + "; client_max_window_bits=7",
		p + "; client_max_window_bits=16",
		p + "; client_max_window_bits=08", p + "; client_max_window_bits=015",
		p + "; client_max_window_bits=-9",
		p + "; client_max_window_bits=0", p + "; client_max_window_bits=abc",
		p + "; client_max_window_bits=15x",
		p + "; client_max_window_bits=999999999999999999999",
		p + "; server_max_window_bits", p + "; server_max_window_bits=7",
		p + "; server_max_window_bits=16",
		p + "; server_max_window_bits=09", p + "; server_max_window_bits=abc",
		p + "; server_max_window_bits=+9",
		p + "; server_no_context_takeover=1", p + "; client_no_context_takeover=true",
		p + "; server_no_context_takeover=15",
		p + "; server_no_context_takeover; server_no_context_takeover",
		p + "; client_no_context_takeover; client_no_context_takeover",
		p + "; client_max_window_bits; client_max_window_bits",
		p + "; client_max_window_bits=15; client_max_window_bits=14",
		p + "; server_max_window_bits=15; server_max_window_bits=15",
		p + "; unknown, " + p + "; client_max_window_bits=99",
		"x-webkit-deflate-frame", "foo", "deflate", "permessage-deflat", "permessage-deflate2",
		"permessage-bzip2",
		"foo; permessage-deflate", `foo; a="permessage-deflate"`, `foo; a="x, permessage-deflate, y"`,
	}
	for _, set := range []struct {
		name   string
		offers []string
		agreed []bool
	}{{"accepted", accepted, []bool{true}}, {"either", either, []bool{true, false}},
		{"declined", declined, []bool{false}}} {
		for _, offer := range set.offers {
			t.Run(set.name+"/"+offer, func(t *testing.T) {
				t.Parallel()
				lab := labproc.Get(t, "-deflate")
				c, resp, err := raw.Do(lab.Addr,
					raw.NewRequest(lab.Addr, "/echo").Add("Sec-WebSocket-Extensions", offer))
				if err != nil || c == nil {
					t.Fatalf("%v, %+v", err, resp)
				}
				defer c.Cut()
				if got := c.Deflate() != nil; !slices.Contains(set.agreed, got) {
					t.Errorf("agreed: %v, answer %q", got, resp.Header["Sec-Websocket-Extensions"])
				}
				if d := c.Deflate(); d != nil && strings.HasPrefix(offer, p+"; server_max_window_bits") &&
					d.ServerBits == 0 {
					t.Errorf("accepted, and the answer %q does not say so (7.1.2.1)",
						resp.Header["Sec-Websocket-Extensions"])
				}
				for _, n := range []int{0, 10, 5000} {
					if err := c.Echo(raw.Text, bytes.Repeat([]byte("ab"), n)); err != nil {
						t.Errorf("%d bytes: %v", 2*n, err)
					}
				}
				if err := c.Shut(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// A header that is no list of extensions (RFC 6455, 9.1) opens without them or
// is refused.
func TestDeflateBadHeader(t *testing.T) {
	lab := labproc.Get(t, "-deflate")
	for _, header := range []string{";", ",", "=", "; client_max_window_bits",
		`permessage-deflate; client_max_window_bits="15`, "permessage-deflate client_max_window_bits",
		"(permessage-deflate)", "permessage-deflate; =15"} {
		c, resp, err := raw.Do(lab.Addr,
			raw.NewRequest(lab.Addr, "/echo").Add("Sec-WebSocket-Extensions", header))
		if err != nil {
			t.Errorf("%q: %v", header, err)
			continue
		}
		if c == nil {
			if resp.Status != 400 {
				t.Errorf("%q: status %d", header, resp.Status)
			}
			continue
		}
		if c.Deflate() != nil {
			t.Errorf("%q: agreed", header)
		}
		c.Cut()
	}
}

// The lab without -deflate declines every offer.
func TestDeflateOff(t *testing.T) {
	lab := labproc.Get(t)
	c, resp, err := raw.Do(lab.Addr,
		raw.NewRequest(lab.Addr, "/echo").Add("Sec-WebSocket-Extensions", "permessage-deflate"))
	if err != nil || c == nil {
		t.Fatalf("%v, %+v", err, resp)
	}
	defer c.Cut()
	if c.Deflate() != nil {
		t.Error("agreed")
	}
	compressed := raw.Frame{Fin: true, RSV: raw.RSV1, Opcode: raw.Text,
		Payload: raw.Deflated([]byte("a"), 1)}
	for _, s := range []step{send(compressed), closedWith(1002)} {
		if err := s(c); err != nil {
			t.Error(err)
		}
	}
}

// What may stand in a compressed message (RFC 7692, 7.2.3), and what may not.
func TestDeflateFrames(t *testing.T) {
	hello := []byte("hello, hello, hello")
	compressed := func(op byte, p []byte) raw.Frame {
		return raw.Frame{Fin: true, RSV: raw.RSV1, Opcode: op, Payload: p}
	}
	parts := func(p []byte, size int) []raw.Frame {
		frames := raw.Fragments(raw.Text, raw.Cut(p, size)...)
		frames[0].RSV = raw.RSV1
		return frames
	}
	with := func(f raw.Frame, rsv byte) raw.Frame { f.RSV = rsv; return f }
	deflated := raw.Deflated(hello, flate.BestCompression)
	stored := raw.Deflated(hello, flate.NoCompression)
	twoBlocks := slices.Concat(raw.Deflated(hello, 9), []byte("\x00\x00\xff\xff"),
		raw.Deflated(hello, 9))
	final := slices.Concat(finalBlock(hello), []byte{0})
	finals := slices.Concat(finalBlock(hello), finalBlock(hello), deflated)
	large := bytes.Repeat([]byte("0123456789abcdef"), 20000)
	split := parts(deflated, 5)
	inTheMiddle := slices.Concat(split[:1], []raw.Frame{raw.Whole(raw.Ping, []byte("p"))}, split[1:])
	badUTF8 := raw.Deflated([]byte("ok\xff"), 9)
	marked := raw.Fragments(raw.Text, deflated[:3], deflated[3:])
	marked[0].RSV, marked[1].RSV = raw.RSV1, raw.RSV1
	late := raw.Fragments(raw.Text, []byte("plain"), deflated)
	late[1].RSV = raw.RSV1

	cases := []protoCase{
		{"text", "", []step{send(compressed(raw.Text, deflated)), want(text(hello)), done}},
		{"binary", "", []step{send(compressed(raw.Binary, deflated)), want(bin(hello)), done}},
		{"uncompressed", "allowed", []step{send(raw.Whole(raw.Text, hello)), want(text(hello)), done}},
		{"in turns", "",
			[]step{send(raw.Whole(raw.Text, hello), compressed(raw.Text, deflated),
				raw.Whole(raw.Text, hello)), want(text(hello), text(hello), text(hello)), done}},
		{"empty message", "7.2.3.6", []step{send(compressed(raw.Text, []byte{0})), want(text("")), done}},
		{"no payload", "lenient or not", []step{send(compressed(raw.Text, nil)), replyOrFail(text(""))}},
		{"stored block", "7.2.3.3", []step{send(compressed(raw.Text, stored)), want(text(hello)), done}},
		{"two blocks", "7.2.3.5",
			[]step{send(compressed(raw.Text, twoBlocks)), want(text(string(hello) + string(hello))), done}},
		{"final block", "7.2.3.4", []step{send(compressed(raw.Text, final)), want(text(hello)), done}},
		{"final blocks, then others", "7.2.1",
			[]step{send(compressed(raw.Text, finals)), want(text(strings.Repeat(string(hello), 3))), done}},
		{"fragments", "7.2.3.1", []step{send(parts(deflated, 4)...), want(text(hello)), done}},
		{"fragments of one byte", "", []step{send(parts(deflated, 1)...), want(text(hello)), done}},
		{"empty fragments", "", []step{send(emptyBetween(deflated)...), want(text(hello)), done}},
		{"ping inside", "", []step{send(inTheMiddle...), want(pong("p"), text(hello)), done}},
		{"byte by byte", "", []step{cut(1, compressed(raw.Text, deflated)), want(text(hello)), done}},
		{"large", "",
			[]step{send(compressed(raw.Binary, raw.Deflated(large, 1))), want(bin(large)), done}},
		{"bit on continuation", "6.1", []step{send(marked...), closedWith(1002)}},
		{"bit only on continuation", "6.1", []step{send(late...), closedWith(1002)}},
		{"bit on ping", "", []step{send(compressed(raw.Ping, []byte("p"))), closedWith(1002)}},
		{"bit on pong", "", []step{send(compressed(raw.Pong, []byte("p"))), closedWith(1002)}},
		{"bit on close", "", []step{send(with(raw.Close(1000, ""), raw.RSV1)), closedWith(1002)}},
		{"bit 2", "", []step{send(with(compressed(raw.Text, deflated), raw.RSV2)), closedWith(1002)}},
		{"bits 1 and 2", "",
			[]step{send(with(compressed(raw.Text, deflated), raw.RSV1|raw.RSV2)), closedWith(1002)}},
		{"bits 1 and 3", "",
			[]step{send(with(compressed(raw.Text, deflated), raw.RSV1|raw.RSV3)), closedWith(1002)}},
		{"reserved block type", "not DEFLATE",
			[]step{send(compressed(raw.Text, []byte("\x07\xff\xff"))), closedWith(1002, 1003, 1007)}},
		{"noise", "not DEFLATE",
			[]step{send(compressed(raw.Binary, bytes.Repeat([]byte{0xfe, 0x37}, 50))),
				closedWith(1002, 1003, 1007)}},
		{"distance before the beginning", "not DEFLATE",
			[]step{send(compressed(raw.Binary, []byte("\x03\x02\x00"))), closedWith(1002, 1003, 1007)}},
		{"stored block of wrong length", "not DEFLATE",
			[]step{send(compressed(raw.Binary, []byte("\x00\x05\x00\x00\x00hello"))),
				closedWith(1002, 1003, 1007)}},
		{"invalid UTF-8", "", []step{send(compressed(raw.Text, badUTF8)), closedWith(1007)}},
		{"bytes in binary", "", []step{send(compressed(raw.Binary, badUTF8)), want(bin("ok\xff")), done}},
		{"bomb", "16 MiB and one byte in a few",
			[]step{send(compressed(raw.Binary, raw.Deflated(make([]byte, 16<<20+1), 9))), closedWith(1009)}},
		{"limit", "exactly",
			[]step{send(compressed(raw.Binary, raw.Deflated(make([]byte, 16<<20), 9))),
				want(bin(make([]byte, 16<<20))), done}},
	}
	for _, pc := range cases {
		t.Run(pc.id, func(t *testing.T) {
			t.Parallel()
			c := openDeflate(t, "permessage-deflate; client_no_context_takeover; client_max_window_bits")
			for i, s := range pc.steps {
				if err := s(c); err != nil {
					t.Fatalf("%s (%s): step %d: %v", pc.id, pc.about, i+1, err)
				}
			}
		})
	}
}

// replyOrFail wants the reply, or that the message is refused.
func replyOrFail(reply raw.Event) step {
	return func(c *raw.Conn) error {
		ev, err := c.Next()
		switch {
		case err != nil:
			return err
		case ev.Kind == raw.Closed && (ev.Code == 1002 || ev.Code == 1007):
			return ends(c)
		case ev.Kind == reply.Kind && bytes.Equal(ev.Data, reply.Data):
			return c.Shut()
		}
		return fmt.Errorf("%s, want %s or a close", show(ev), show(reply))
	}
}

// finalBlock returns p as DEFLATE whose last block says that it is the last.
func finalBlock(p []byte) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 9) // the level is valid
	_, _ = w.Write(p)
	_ = w.Close()
	return b.Bytes()
}

// emptyBetween is a compressed message in which every second fragment is empty.
func emptyBetween(p []byte) []raw.Frame {
	var cuts [][]byte
	for _, part := range raw.Cut(p, 4) {
		cuts = append(cuts, part, nil)
	}
	frames := raw.Fragments(raw.Text, cuts...)
	frames[0].RSV = raw.RSV1
	return frames
}

// Many messages under every agreement about context, so that one side's window
// must be the other's.
func TestDeflateContext(t *testing.T) {
	for _, offer := range []string{
		"permessage-deflate", "permessage-deflate; client_max_window_bits",
		"permessage-deflate; server_no_context_takeover",
		"permessage-deflate; client_no_context_takeover",
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover",
	} {
		t.Run(offer, func(t *testing.T) {
			t.Parallel()
			c := openDeflate(t, offer)
			if strings.Contains(offer, "server_no_context_takeover") && !c.Deflate().ServerNoContext {
				// RFC 7692, 7.1.1.1
				t.Error("server_no_context_takeover was asked for and is not in the answer")
			}
			for i := range 200 {
				p, op := jsonText(100 + i*37)
				if err := c.Echo(op, append(p, fmt.Sprint(i)...)); err != nil {
					t.Fatalf("message %d: %v", i, err)
				}
			}
			if err := c.Shut(); err != nil {
				t.Error(err)
			}
		})
	}
}
