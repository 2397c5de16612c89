package load

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// unmask turns a frame of a client into what its server would read.
func unmask(t *testing.T, b []byte) (op byte, payload []byte, size int) {
	t.Helper()
	header, n := 2, int(b[1]&0x7f)
	switch n {
	case 126:
		header, n = 4, int(binary.BigEndian.Uint16(b[2:]))
	case 127:
		header, n = 10, int(binary.BigEndian.Uint64(b[2:]))
	}
	if b[1]&0x80 == 0 {
		t.Fatal("frame of a client is not masked")
	}
	mask := b[header : header+4]
	payload = bytes.Clone(b[header+4 : header+4+n])
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return b[0] & 0xf, payload, header + 4 + n
}

// serverFrame is a frame as a server sends it.
func serverFrame(first byte, payload []byte) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, payload...)
}

func TestAppendFrameOfEveryLengthForm(t *testing.T) {
	for _, size := range []int{0, 1, 125, 126, 65535, 65536} {
		want := content(1, 2, size, false)
		b := AppendFrame(nil, final|opBinary, want, maskOf(3))
		op, got, n := unmask(t, b)
		if op != opBinary || n != len(b) || !bytes.Equal(got, want) {
			t.Errorf("frame of %d bytes: opcode %d, length %d of %d, equal %v", size, op, n, len(b),
				bytes.Equal(got, want))
		}
	}
}

func TestParseFrameWantsTheWholeFrame(t *testing.T) {
	for _, size := range []int{0, 125, 126, 65535, 65536} {
		want := content(1, 2, size, false)
		b := serverFrame(0x81, want)
		f, n, err := parseFrame(append(b, "next"...))
		if err != nil || n != len(b) || f.op != opText || !f.fin || !bytes.Equal(f.payload, want) {
			t.Errorf("frame of %d bytes: size %d, opcode %d, fin %v, %v", size, n, f.op, f.fin, err)
		}
		for _, cut := range []int{0, 1, 2, len(b) - 1} {
			if _, _, err := parseFrame(b[:min(cut, len(b)-1)]); err != errShort {
				t.Errorf("frame of %d bytes cut to %d: %v, want errShort", size, cut, err)
			}
		}
	}
}

func TestParseFrameRefusesWhatNoServerMaySend(t *testing.T) {
	for name, b := range map[string][]byte{
		"masked":        AppendFrame(nil, final|opText, []byte("x"), maskOf(0)),
		"reserved bits": serverFrame(0xb1, []byte("x")),
		"too long":      {0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0},
	} {
		if _, _, err := parseFrame(b); err == nil || err == errShort {
			t.Errorf("a %s frame: error %v, want a refusal", name, err)
		}
	}
}

func TestMaskHasNoZeroByte(t *testing.T) {
	for i := range 10000 {
		if m := maskOf(i); bytes.IndexByte(m[:], 0) >= 0 {
			t.Fatalf("mask %d is %x", i, m)
		}
	}
}

func TestContentDiffersByClientAndNumber(t *testing.T) {
	a := content(1, 1, 64, false)
	if bytes.Equal(a, content(2, 1, 64, false)) || bytes.Equal(a, content(1, 2, 64, false)) {
		t.Error("content of another client or number is the same")
	}
	if len(a) != 64 || len(content(1, 1, 65536, true)) != 65536 {
		t.Error("content does not have the size asked for")
	}
}

func TestDeflateAndInflate(t *testing.T) {
	want := content(0, 0, 1024, false)
	small, err := deflate(want)
	if err != nil {
		t.Fatal(err)
	}
	if len(small) >= len(want)/2 {
		t.Errorf("%d bytes deflated to %d", len(want), len(small))
	}
	got, err := inflate(small)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("inflate gave back %d bytes, %v", len(got), err)
	}
	if _, err := inflate([]byte("\xff\xff\xff")); err == nil {
		t.Error("inflate of garbage gave no error")
	}
}

func TestCentrifugeUnwrap(t *testing.T) {
	var got []string
	collect := func(m []byte) error { got = append(got, string(m)); return nil }
	in := `{"id":2,"rpc":{"data":"a"}}` + "\n" + `{}` + "\n" +
		`{"push":{"channel":"all","pub":{"data":"b"}}}`
	if err := Centrifuge.unwrap([]byte(in), collect); err != nil {
		t.Fatal(err)
	}
	if s := strings.Join(got, ","); s != "a,b" {
		t.Errorf("unwrap gave %q, want a,b", s)
	}
	if err := Centrifuge.unwrap([]byte(`{"id":2,"error":{"code":100}}`), collect); err == nil {
		t.Error("unwrap of an error reply gave no error")
	}
}

// pipe is a Conn and the server's end of it.
func pipe(t *testing.T) (*Conn, net.Conn) {
	client, server := net.Pipe()
	t.Cleanup(func() { client.Close(); server.Close() })
	target := Target{Dialect: WebSocket, Timeout: 10 * time.Second}
	return &Conn{target: target, nc: client, buf: make([]byte, 16)}, server
}

func TestMessagesInPiecesAndFragments(t *testing.T) {
	c, server := pipe(t)
	go func() {
		var b []byte
		b = append(b, serverFrame(0x89, []byte("ping"))...)
		b = append(b, serverFrame(0x01, []byte("first, "))...)
		b = append(b, serverFrame(0x80, []byte("last"))...)
		b = append(b, serverFrame(0x82, content(0, 0, 300, false))...)
		for _, one := range b {
			server.Write([]byte{one})
		}
		server.Close()
	}()
	f, err := c.wait()
	if err != nil || f.op != opText || string(f.payload) != "first, last" {
		t.Errorf("first message = %d %q, %v; want the two fragments", f.op, f.payload, err)
	}
	f, err = c.wait()
	if err != nil || f.op != opBinary || len(f.payload) != 300 {
		t.Errorf("second message = %d of %d bytes, %v; want 300 binary", f.op, len(f.payload), err)
	}
	if _, err := c.wait(); err != io.EOF {
		t.Errorf("after the end: %v, want EOF", err)
	}
}

// answer reads n messages and writes what reply makes of them.
func answer(t *testing.T, server net.Conn, n int, reply func(payload []byte) []byte) {
	buf, have := make([]byte, 4096), 0
	for n > 0 {
		k, err := server.Read(buf[have:])
		if err != nil {
			return
		}
		have += k
		for have >= 6 && have >= 6+int(buf[1]&0x7f) {
			_, payload, size := unmask(t, buf[:have])
			have = copy(buf, buf[size:have])
			server.Write(serverFrame(0x81, reply(payload)))
			n--
		}
	}
}

func TestEchoCountsAndChecks(t *testing.T) {
	for name, c := range map[string]struct {
		reply func([]byte) []byte
		wrong bool
	}{
		"true":  {func(b []byte) []byte { return b }, false},
		"wrong": {func(b []byte) []byte { b[20]++; return b }, true},
		"stale": {func([]byte) []byte { return content(0, 0, 64, false) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			conn, server := pipe(t)
			go func() {
				answer(t, server, 100, c.reply)
				server.Close()
			}()
			e, err := StartEcho(context.Background(), []*Conn{conn}, Echo{Sizes: []int{64}, Window: 1})
			if err != nil {
				t.Fatal(err)
			}
			e.wg.Wait()
			// In the end the server hangs up, on the read or on the write.
			err = e.Err()
			if hungUp := err == io.EOF || err == io.ErrClosedPipe; hungUp == c.wrong {
				t.Errorf("error = %v, with wrong echoes %v", err, c.wrong)
			}
			if n := e.Count(); !c.wrong && n != 100 {
				t.Errorf("counted %d echoes, want 100", n)
			}
		})
	}
}

func TestCheckAnswer(t *testing.T) {
	good := "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + upgradeAccept
	if err := checkAnswer(good, false); err != nil {
		t.Errorf("a good answer: %v", err)
	}
	for _, bad := range []string{"HTTP/1.1 403 Forbidden",
		"HTTP/1.1 101 x\r\nSec-WebSocket-Accept: other"} {
		if checkAnswer(bad, false) == nil {
			t.Errorf("accepted %q", bad)
		}
	}
	if checkAnswer(good, true) == nil {
		t.Error("accepted an answer without the compression that was asked for")
	}
}
