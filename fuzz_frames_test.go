package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/wsgateway/gateway"
)

// fuzzLimit is the read limit of the sockets here, in bytes.
const fuzzLimit = 300

// FuzzFrames feeds any stream of bytes to sockets. Whether it comes as a whole,
// with the upgrade request, in pieces or byte by byte decides which code reads it:
// whole frames never enter the WebSocket library, pieces do. What the endpoint and
// the client see must not depend on it; and without deflate it is what a reader
// written straight from RFC 6455 says.
func FuzzFrames(f *testing.F) {
	for _, stream := range frameSeeds() {
		f.Add(stream, byte(7), false)
		f.Add(stream, byte(2), true)
	}
	gw := witnessed()
	f.Cleanup(func() {
		if err := gw.Shutdown(context.Background()); err != nil {
			f.Errorf("Shutdown = %v, want nil", err)
		}
		if left := gateway.Leftovers(gw); left != nil {
			f.Errorf("the gateway still holds %q, want nothing", left)
		}
	})
	f.Fuzz(func(t *testing.T, stream []byte, piece byte, deflate bool) {
		stream = stream[:min(len(stream), 4<<10)] // more pongs than that may not wait
		whole := play(gw, deflate, nil, stream)
		compare := func(how string, other sight) {
			if other.String() != whole.String() {
				t.Errorf("deflate: %v, stream %q\nas a whole:\n%v\n%s:\n%v", deflate, stream, whole, how, other)
			}
		}
		compare("with the request", play(gw, deflate, stream))
		compare("byte by byte", play(gw, deflate, nil, slices.Collect(slices.Chunk(stream, 1))...))
		compare("in pieces",
			play(gw, deflate, nil, slices.Collect(slices.Chunk(stream, int(piece)+1))...))
		half := len(stream) / 2
		compare("half of it with the request", play(gw, deflate, stream[:half], stream[half:]))
		if !deflate {
			compare("by RFC 6455", read6455(stream))
		}
	})
}

// A sight is what is seen of a socket: its events, and the frames its client gets.
type sight struct {
	events []string
	frames []string

	done chan struct{} // closed after the close event
}

func (s *sight) add(format string, args ...any) {
	s.events = append(s.events, fmt.Sprintf(format, args...))
}

func (s sight) String() string {
	last := ""
	if len(s.events) > 0 {
		last = s.events[len(s.events)-1]
	}
	// the pongs of the last moment may be lost with it
	if strings.HasPrefix(last, "close connection_lost") {
		return fmt.Sprintf("events %q", s.events)
	}
	return fmt.Sprintf("events %q, frames to the client %q", s.events, s.frames)
}

type sightKey struct{}

// witnessed returns a gateway whose one endpoint notes the events of each socket
// in the sight that its request's context has.
func witnessed() *gateway.Handler {
	gw := gateway.New(&gateway.Options{
		Logger: slog.New(slog.DiscardHandler), Compression: true,
		Limits: gateway.Limits{MessagesPerSecond: -1, ReadLimit: fuzzLimit, PingInterval: -1},
		Authorize: func(r *http.Request) (*gateway.Admission, error) {
			return &gateway.Admission{Context: r.Context()}, nil
		},
	})
	gw.HandleFunc("/", func(ctx context.Context, _ *gateway.Socket, ev gateway.Event) error {
		s := ctx.Value(sightKey{}).(*sight)
		switch ev.Type {
		case gateway.EventData:
			s.add("%v %q", ev.Message.Type, ev.Message.Data)
		case gateway.EventClose:
			s.add("close %s %d %q", ev.Closed.Cause, ev.Closed.Code, ev.Closed.Reason)
			close(s.done)
		}
		return nil
	})
	return gw
}

// play opens a socket whose client sends early with its request, then the pieces,
// and then ends the connection.
func play(gw *gateway.Handler, deflate bool, early []byte, pieces ...[]byte) sight {
	s := &sight{done: make(chan struct{})}
	conn := &script{early: early, pieces: pieces}
	gw.ServeHTTP(hijackWriter{httptest.NewRecorder(), conn, early}, sightRequest(s, deflate))
	<-s.done
	s.frames = conn.frames()
	return *s
}

// sightRequest is an upgrade request of a socket whose events s gets.
func sightRequest(s *sight, deflate bool) *http.Request {
	r := sinkRequest("/")
	if !deflate {
		r.Header.Del("Sec-WebSocket-Extensions")
	}
	return r.WithContext(context.WithValue(r.Context(), sightKey{}, s))
}

// A script is the connection of a client that sends pieces and keeps what it gets.
type script struct {
	sink
	early  []byte
	pieces [][]byte // owned by the socket's reader

	mu  sync.Mutex
	got bytes.Buffer
}

func (c *script) Read(p []byte) (int, error) {
	for len(c.pieces) > 0 && len(c.pieces[0]) == 0 {
		c.pieces = c.pieces[1:]
	}
	if len(c.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.pieces[0])
	c.pieces[0] = c.pieces[0][n:]
	return n, nil
}

func (c *script) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.got.Write(p)
}

func (c *script) Close() error { return nil }

// frames returns what the client got after the answer to its request.
func (c *script) frames() (frames []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, rest, _ := strings.Cut(c.got.String(), "\r\n\r\n")
	for r := strings.NewReader(rest); ; {
		first, payload, err := readFrame(r)
		if err != nil {
			return frames
		}
		frames = append(frames, fmt.Sprintf("%#x %q", first, payload))
	}
}

// A hijackWriter hands out a connection of which early has been read.
type hijackWriter struct {
	*httptest.ResponseRecorder
	conn  net.Conn
	early []byte
}

func (w hijackWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	br := bufio.NewReaderSize(bytes.NewReader(w.early), 4<<10)
	if _, err := br.Peek(len(w.early)); err != nil {
		return nil, nil, err
	}
	return w.conn, bufio.NewReadWriter(br, nil), nil
}

// read6455 is what RFC 6455 makes of a client's stream without extensions, up to
// the limit of fuzzLimit.
func read6455(b []byte) (s sight) {
	var opcode byte // of the message that has begun; 0: none has
	var message []byte
	fail := func(cause gateway.Cause, code int) sight {
		s.add("close %s %d %q", cause, code, cause)
		s.frames = append(s.frames, closeFrame(code, string(cause)))
		return s
	}
	for {
		first, length, key, rest, ok := header6455(b)
		switch {
		case !ok:
			s.add(`close connection_lost 1006 ""`)
			return s
		case key == nil, length < 0:
			return fail(gateway.CauseProtocolError, 1002)
		case first&8 == 0 && length > fuzzLimit-int64(len(message)):
			return fail(gateway.CauseTooLarge, 1009)
		}
		op, fin := first&15, first&0x80 != 0
		control := op >= 8
		switch {
		case first&0x70 != 0, op > 2 && op < 8, op > 10,
			control && (!fin || length > 125),
			op == 0 && opcode == 0, (op == 1 || op == 2) && opcode != 0:
			return fail(gateway.CauseProtocolError, 1002)
		}
		n := min(int64(len(rest)), length)
		payload := bytes.Clone(rest[:n])
		for i := range payload {
			payload[i] ^= key[i%4]
		}
		b = rest[n:]
		if control {
			switch {
			case n < length:
				s.add(`close connection_lost 1006 ""`)
				return s
			case op == 9:
				s.frames = append(s.frames, fmt.Sprintf("0x8a %q", payload))
			case op == 8:
				return close6455(s, payload, fail)
			}
			continue
		}
		if op != 0 {
			opcode = op
		}
		message = append(message, payload...)
		whole := fin && n == length
		switch {
		case opcode == 1 && !textBegins(message, whole):
			return fail(gateway.CauseInvalidUTF8, 1007)
		case n < length:
			s.add(`close connection_lost 1006 ""`)
			return s
		case whole:
			s.add("%v %q", gateway.MessageType(opcode), message)
			opcode, message = 0, nil
		}
	}
}

// header6455 reads a frame's header (RFC 6455, section 5.2); the key is nil if the
// frame is not masked.
func header6455(b []byte) (first byte, length int64, key, rest []byte, ok bool) {
	if len(b) < 2 {
		return 0, 0, nil, nil, false
	}
	first, length = b[0], int64(b[1]&0x7f)
	masked, more := b[1]&0x80 != 0, map[int64]int{126: 2, 127: 8}[length]
	if b = b[2:]; !masked {
		return first, length, nil, nil, true // whatever follows
	}
	badLength := false // no mask could make it good
	switch {
	case more == 2 && len(b) >= 2:
		badLength = binary.BigEndian.Uint16(b) < 126
	case more == 8 && len(b) >= 8:
		badLength = b[0]&0x80 != 0 || binary.BigEndian.Uint64(b) < 1<<16
	}
	if badLength {
		return first, -1, nil, nil, true
	}
	if len(b) < more+4 {
		return 0, 0, nil, nil, false
	}
	switch more {
	case 2:
		length = int64(binary.BigEndian.Uint16(b))
	case 8:
		length = int64(binary.BigEndian.Uint64(b))
	}
	b = b[more:]
	return first, length, b[:4], b[4:], true
}

// close6455 ends a sight with the client's close frame (RFC 6455, section 5.5.1).
func close6455(s sight, payload []byte, fail func(gateway.Cause, int) sight) sight {
	if len(payload) == 0 {
		s.add(`close client 1005 ""`)
		s.frames = append(s.frames, `0x88 ""`)
		return s
	}
	if len(payload) == 1 {
		return fail(gateway.CauseProtocolError, 1002)
	}
	code, reason := int(binary.BigEndian.Uint16(payload)), string(payload[2:])
	assigned := code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006
	switch {
	case !assigned && (code < 3000 || code > 4999):
		return fail(gateway.CauseProtocolError, 1002)
	case !utf8.ValidString(reason):
		return fail(gateway.CauseInvalidUTF8, 1007)
	}
	s.add("close client %d %q", code, reason)
	s.frames = append(s.frames, closeFrame(code, reason))
	return s
}

func closeFrame(code int, reason string) string {
	return fmt.Sprintf("0x88 %q", append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...))
}

// textBegins reports whether a text can begin, or is whole, with b.
func textBegins(b []byte, whole bool) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			return !whole && !utf8.FullRune(b)
		}
		b = b[n:]
	}
	return true
}

// frameSeeds are streams that reach the corners of the readers.
func frameSeeds() [][]byte {
	text := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	keyed := []byte{0x81, 0x85, 1, 2, 3, 4, 'h' ^ 1, 'e' ^ 2, 'l' ^ 3, 'l' ^ 4, 'o' ^ 1}
	long := strings.Repeat("x", fuzzLimit)
	return [][]byte{
		nil,
		keyed,
		text(keyed, keyed, masked(0x82, "\x00\xff"), masked(0x81, ""), masked(0x88, "\x03\xe8bye")),
		text(masked(0x01, "a"), masked(0x89, "ping"), masked(0x00, "b"), masked(0x80, "c"),
			masked(0x81, "d")),
		text(masked(0x81, long), masked(0x81, long+"x")),
		text(masked(0x01, long), masked(0x80, "x")),
		text(masked(0x02, long), masked(0x80, "")),
		text(masked(0x01, "\xe2\x82"), masked(0x80, "\xac")),
		text(masked(0x01, "\xe2\x82"), masked(0x80, "\x28")),
		text(masked(0x81, "\xf0\x9f\x98\x80\xed\xa0\x80")),
		masked(0x81, "\xff")[:7], masked(0x82, "cut off")[:9], masked(0x82, "cut off")[:4],
		masked(0x89, strings.Repeat("p", 125)), masked(0x89, strings.Repeat("p", 126)),
		masked(0x09, "in pieces"), masked(0x80, "of nothing"), masked(0x83, "unknown"),
		masked(0x8b, "unknown"),
		text(masked(0x01, "one"), masked(0x81, "two")),
		text(masked(0x8a, "pong"), masked(0x88, "")),
		masked(0x88, "\x03"), masked(0x88, "\x03\xed"), masked(0x88, "\x0f\xa1\xff"),
		masked(0x88, "\x03\xf2"),
		masked(0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00"), // Hello, of RFC 7692, section 7.2.3.1
		text(masked(0x41, "\xf2\x48\xcd"), masked(0x80, "\xc9\xc9\x07\x00"),
			masked(0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00")),
		masked(0xc1, "not deflated"), masked(0xa1, "rsv2"), masked(0xc9, "deflated ping"),
		{0x02, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0}, // a bad length, and nothing more
		{0x81, 0x01, 'x'}, maskedHeader(0x82, 1<<20), {0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		// a length that is not minimal
		{0x81, 0xfe, 0, 5, 0, 0, 0, 0, 'h', 'e', 'l', 'l', 'o'},
		// a bad start of a fragment, and no more
		slices.Concat(masked(0x01, "a"), maskedHeader(0x00, 39), []byte("\xb1b")),
	}
}

// A message whose end does not come is not delivered, wherever the connection
// ends, and the next socket does not suffer for it.
func TestMessageThatIsCut(t *testing.T) {
	gw := witnessed()
	for _, stream := range [][]byte{
		bytes.Join([][]byte{masked(0x01, "half"), {0x80}}, nil),
		bytes.Join([][]byte{masked(0x01, "half"), {0x80, 0x84}}, nil),
		bytes.Join([][]byte{masked(0x01, "half"), masked(0x80, "and half")[:9]}, nil),
		bytes.Join([][]byte{masked(0x01, "half"), {0x89, 0x84}}, nil),
		bytes.Join([][]byte{masked(0x41, "half"), {0x80}}, nil),
	} {
		for size := 1; size <= len(stream); size++ {
			got := play(gw, true, nil, slices.Collect(slices.Chunk(stream, size))...)
			if want := []string{`close connection_lost 1006 ""`}; !slices.Equal(got.events, want) {
				t.Errorf("%q, %d bytes at a time: events %q, want %q", stream, size, got.events, want)
			}
			next := append(masked(0x01, "a"), masked(0x80, "b")...)
			if got := play(gw, true, nil, next); len(got.events) != 2 || got.events[0] != `data-text "ab"` {
				t.Errorf("%q, %d bytes at a time: the next socket's events are %q, want its message", stream,
					size, got.events)
			}
		}
	}
	if err := gw.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown = %v, want nil", err)
	}
}
