package conformance_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/wsgateway/gateway/conformance/internal/labproc"
	"github.com/wsgateway/gateway/conformance/internal/raw"
)

// full reports whether the tests run in the sizes of their models instead of
// those that suit every run.
var full = os.Getenv("CONFORMANCE_FULL") != ""

// A load is what the cases of groups 12 and 13 send: messages of a size, in
// fragments of at most fragment bytes where that is not 0.
type load struct{ size, fragment int }

var deflateLoads = []load{
	{16, 0}, {64, 0}, {256, 0}, {1 << 10, 0}, {4 << 10, 0}, {8 << 10, 0}, {16 << 10, 0}, {32 << 10, 0},
	{64 << 10, 0}, {128 << 10, 0},
	{8 << 10, 256}, {16 << 10, 256}, {32 << 10, 256}, {64 << 10, 256}, {128 << 10, 256},
	{128 << 10, 1 << 10}, {128 << 10, 4 << 10}, {128 << 10, 32 << 10},
}

// messages is how many the suite sends of each: 1000. A reduced run sends 100, or
// about 256 KiB; with the race detector a quarter of it, since more of the same tells it
// nothing new. It is always more than one, for what is kept between messages.
func (l load) messages() int {
	switch {
	case full:
		return 1000
	case labproc.Race:
		return max(2, min(25, 64<<10/l.size))
	}
	return max(3, min(100, 256<<10/l.size))
}

func TestAutobahn12Deflate(t *testing.T) {
	const offer = "permessage-deflate; client_no_context_takeover; client_max_window_bits"
	contents := []func(n int) ([]byte, byte){jsonText, noise, prose, markup, base64Text}
	for g, content := range contents {
		runLoads(t, fmt.Sprintf("12.%d", g+1), content, offer)
	}
}

func TestAutobahn13DeflateParameters(t *testing.T) {
	for i, offer := range []string{
		"permessage-deflate",
		"permessage-deflate; server_no_context_takeover",
		"permessage-deflate; server_max_window_bits=9",
		"permessage-deflate; server_max_window_bits=15",
		"permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
		"permessage-deflate; server_no_context_takeover; server_max_window_bits=15",
		"permessage-deflate; server_no_context_takeover; server_max_window_bits=9, permessage-deflate; " +
			"server_no_context_takeover, permessage-deflate",
	} {
		runLoads(t, fmt.Sprintf("13.%d", i+1), jsonText, offer)
	}
}

// runLoads runs a group's cases. An offer that the server declines is no
// failure (RFC 7692, 5): the messages then travel as they are.
func runLoads(t *testing.T, group string, content func(n int) ([]byte, byte), offer string) {
	lab := labproc.Get(t, "-deflate")
	for i, l := range deflateLoads {
		t.Run(fmt.Sprintf("%s.%d", group, i+1), func(t *testing.T) {
			t.Parallel()
			r := raw.NewRequest(lab.Addr, "/echo").Add("Sec-WebSocket-Extensions", offer)
			c, resp, err := raw.Do(lab.Addr, r)
			if err != nil || c == nil {
				t.Fatalf("%v, %+v", err, resp)
			}
			defer c.Cut()
			p, op := content(l.size)
			for n := range l.messages() {
				if err := echoFragmented(c, op, p, l.fragment); err != nil {
					t.Fatalf("message %d of %d bytes in fragments of %d: %v", n+1, l.size, l.fragment, err)
				}
			}
			if err := c.Shut(); err != nil {
				t.Error(err)
			}
		})
	}
}

// echoFragmented is Conn.Echo with a message in fragments.
func echoFragmented(c *raw.Conn, op byte, p []byte, size int) error {
	if size == 0 {
		return c.Echo(op, p)
	}
	payload, rsv := p, byte(0)
	if d := c.Deflate(); d != nil {
		payload, rsv = d.Compress(p), raw.RSV1
	}
	frames := raw.Fragments(op, raw.Cut(payload, size)...)
	frames[0].RSV = rsv
	if err := c.Send(frames...); err != nil {
		return err
	}
	return want(raw.Event{Kind: raw.Message, Opcode: op, Data: p})(c)
}

// The kinds of content, each always the same for a length.

func random() *rand.ChaCha8 { return rand.NewChaCha8([32]byte{7, 6, 9, 2}) }

func fill(n int, next func(r *rand.Rand) string) []byte {
	r := rand.New(random())
	var b bytes.Buffer
	for b.Len() < n {
		b.WriteString(next(r))
	}
	return b.Bytes()[:n] // all of it is ASCII: cut anywhere
}

func jsonText(n int) ([]byte, byte) {
	return fill(n, func(r *rand.Rand) string {
		return fmt.Sprintf(`{"id":%d,"name":"device-%03d","on":%v,"level":%.3f},`, r.IntN(1e6),
			r.IntN(500), r.IntN(2) == 0, r.Float64())
	}), raw.Text
}

func noise(n int) ([]byte, byte) {
	b := make([]byte, n)
	_, _ = random().Read(b) // never fails
	return b, raw.Binary
}

func prose(n int) ([]byte, byte) {
	words := strings.Fields("the sea was calm and under a low sun three boats came slowly home with " +
		"nobody singing")
	return fill(n, func(r *rand.Rand) string { return words[r.IntN(len(words))] + " " }), raw.Text
}

func markup(n int) ([]byte, byte) {
	return fill(n, func(r *rand.Rand) string {
		return fmt.Sprintf("<tr class=\"row\"><td>%d</td><td><a href=\"/item/%d\">item</a></td></tr>\n",
			r.IntN(9999), r.IntN(99))
	}), raw.Text
}

func base64Text(n int) ([]byte, byte) {
	b, _ := noise(n)
	return []byte(base64.StdEncoding.EncodeToString(b))[:n], raw.Text
}
