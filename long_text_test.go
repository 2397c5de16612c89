package gateway_test

import (
	"strings"
	"testing"

	"github.com/wsgateway/gateway"
)

// maskedWith is masked with a key that changes something.
func maskedWith(first byte, payload string) []byte {
	key := [4]byte{0xa5, 0x3c, 0x96, 0x5a}
	b := maskedHeader(first, len(payload))
	copy(b[len(b)-4:], key[:])
	for i := range len(payload) {
		b = append(b, payload[i]^key[i&3])
	}
	return b
}

// Long text is checked in steps, and what lies across two of them is text all the same, or
// is not.
func TestLongText(t *testing.T) {
	gw := withLimits(gateway.Limits{})
	gw.Handle("/", echo())
	srv := serveTCP(t, gw, false)
	dial := func() *rawPeer {
		p := dialTCP(t, srv)
		p.upgrade("/")
		return p
	}
	p := dial()
	for shift := range 4 {
		text := strings.Repeat("x", shift) + strings.Repeat("水é😀", 4_000)
		// Behind a pong, so that what is read at once ends in the middle of the mask.
		p.write(append(maskedWith(0x8a, "odd"), maskedWith(0x81, text)...))
		p.want(0x81, text)
		for _, at := range []int{8_190, 8_191, 8_192, 16_384, 30_000, len(text) - 1} {
			for text[at]&0xc0 != 0x80 { // inside of a character
				at--
			}
			bad := dial()
			bad.write(maskedWith(0x81, text[:at]+"x"+text[at+1:]))
			bad.wantClose(1007, "invalid_utf8")
		}
	}
}
