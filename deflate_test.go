package gateway_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/wsgateway/gateway"
)

const wantDeflate = "Sec-WebSocket-Extensions: permessage-deflate"

// deflateGateway echoes, deflated on request.
func deflateGateway() *gateway.Handler {
	gw := gateway.New(&gateway.Options{Compression: true, Logger: slog.New(slog.DiscardHandler),
		Limits: unlimited})
	gw.Handle("/", echo())
	return gw
}

// deflated returns s as the payload of a deflated message (RFC 7692, section 7.2.1).
func deflated(s string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression) // the level is valid
	w.Write([]byte(s))
	w.Flush()
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

// finalBlock returns s as a deflated payload whose last block says that it is the
// last (RFC 7692, section 7.2.3.4).
func finalBlock(s string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	w.Write([]byte(s))
	w.Close()
	return b.String() + "\x00"
}

// inflated returns what the payload of a frame with this first byte stands for.
func inflated(first byte, payload string) string {
	if first&0x40 == 0 {
		return payload
	}
	b, err := io.ReadAll(flate.NewReader(strings.NewReader(payload +
		"\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// A block that says it is the last one may be followed by others (RFC 7692, section
// 7.2.1).
func TestInflateGoesOnBehindALastBlock(t *testing.T) {
	last := func(s string) string { return strings.TrimSuffix(finalBlock(s), "\x00") }
	big := strings.Repeat("0123456789", 3000)
	for payload, want := range map[string]string{
		last("one") + last("two") + "\x00":                 "onetwo",
		last("one") + deflated("two"):                      "onetwo",
		deflated("one") + "\x00\x00\xff\xff" + last("two"): "onetwo",
		last(big) + last("") + last("") + last(big):        big + big,
		last("") + deflated("one"):                         "one",
		last("one"):                                        "one",
	} {
		bubble(t, fmt.Sprintf("%.20q", want), func(t *testing.T) {
			p := rawDial(t, serve(t, deflateGateway()), "/", wantDeflate, "")
			p.write(masked(0xc1, payload))
			if first, got := p.read(); inflated(first, got) != want {
				t.Errorf("%.60q becomes %.20q of %d bytes, want %.20q of %d", payload, got, len(got), want,
					len(want))
			}
		})
	}
	for name, payload := range map[string]string{
		"too large in sum": last(strings.Repeat("a", 40_000)) + last(strings.Repeat("a", 40_000)),
		"many empty ones":  strings.Repeat(last(""), 10_000) + last(strings.Repeat("a", 64<<10+1)),
	} {
		bubble(t, name, func(t *testing.T) {
			p := rawDial(t, serve(t, deflateGateway()), "/", wantDeflate, "")
			p.write(masked(0xc1, payload))
			p.wantClose(1009, "too_large")
		})
	}
}

// Bytes behind the last block of one message are no part of any other: neither of
// the same socket, nor of another that is read by what read the first.
func TestInflateKeepsNothing(t *testing.T) {
	for name, behind := range map[string]string{"nothing": "", "a little": "rest",
		"much": strings.Repeat("rest", 5000)} {
		payload := finalBlock("last") + behind
		for frames, first := range map[string][][]byte{
			"one frame": {masked(0xc1, payload)},
			"two":       {masked(0x41, payload[:3]), masked(0x80, payload[3:])},
		} {
			bubble(t, name+" behind, "+frames, func(t *testing.T) {
				srv := serve(t, deflateGateway())
				next := deflated("next")
				for range 3 {
					p := rawDial(t, srv, "/", wantDeflate, "")
					p.write(bytes.Join(first, nil))
					p.want(0x81, "last")
					p.write(masked(0xc1, next))
					p.want(0x81, "next")
					p.write(bytes.Join([][]byte{masked(0x41, next[:2]), masked(0x89, "p"), masked(0x80, next[2:])},
						nil))
					p.want(0x8a, "p")
					p.want(0x81, "next")
					p.write(masked(0x81, "plain"))
					p.want(0x81, "plain")
				}
			})
		}
	}
}

func TestInflateRefuses(t *testing.T) {
	good := deflated("hello")
	for name, c := range map[string]struct {
		frames string
		code   int
		cause  string
	}{
		"noise":               {string(masked(0xc2, "\xfe\x37\xfe\x37")), 1002, "protocol_error"},
		"half of a block":     {string(masked(0xc2, good[:len(good)/2])), 1002, "protocol_error"},
		"not UTF-8":           {string(masked(0xc1, deflated("\xff"))), 1007, "invalid_utf8"},
		"half of a character": {string(masked(0xc1, deflated("\xc3"))), 1007, "invalid_utf8"},
		"RSV1 on a ping":      {string(masked(0xc9, "")), 1002, "protocol_error"},
		"RSV1 on the second": {string(masked(0x41, good[:2])) + string(masked(0xc0, good[2:])), 1002,
			"protocol_error"},
		"RSV1 in the middle": {string(masked(0x02, good[:2])) + string(masked(0xc0, good[2:])), 1002,
			"protocol_error"},
		"RSV2 too": {string(masked(0xe1, good)), 1002, "protocol_error"},
		"too large in fragment": {string(masked(0x42, deflated(strings.Repeat("a", 64<<10+1)))) +
			string(masked(0x80, "")), 1009, "too_large"},
	} {
		bubble(t, name, func(t *testing.T) {
			p := rawDial(t, serve(t, deflateGateway()), "/", wantDeflate, "")
			p.write([]byte(c.frames))
			p.wantClose(c.code, c.cause)
		})
	}
}

// Compressed messages count by what they become, and nothing is inflated beyond
// the limit.
func TestReadLimitCountsInflatedBytes(t *testing.T) {
	for n, ok := range map[int]bool{100: true, 64 << 10: true, 64<<10 + 1: false, 10 << 20: false} {
		bubble(t, fmt.Sprint(n), func(t *testing.T) {
			p := rawDial(t, serve(t, deflateGateway()), "/", wantDeflate, "")
			p.write(masked(0xc1, deflated(strings.Repeat("a", n))))
			if !ok {
				p.wantClose(1009, "too_large")
				return
			}
			first, payload := p.read()
			compressed := n >= 512
			if (first == 0xc1) != compressed {
				t.Errorf("the echo of %d bytes begins with %#x, want RSV1 only from 512 bytes on", n, first)
			}
			if !compressed && len(payload) != n {
				t.Errorf("the echo has %d bytes, want %d", len(payload), n)
			}
		})
	}
}
