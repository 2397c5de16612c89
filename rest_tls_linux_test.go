package gateway_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
)

// What TLS keeps between the descriptor and the socket does not get stuck at rest.

// slowTalker is a silence after which a reader goes to rest without waiting for more.
const slowTalker = 120 * time.Millisecond

// secureOvers are the versions of TLS.
var secureOvers = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// A heldConn keeps what is written to it, once held is set, until the test sends it.
type heldConn struct {
	net.Conn
	held bool
	kept []byte
}

func (c *heldConn) Write(p []byte) (int, error) {
	if !c.held {
		return c.Conn.Write(p)
	}
	c.kept = append(c.kept, p...)
	return len(p), nil
}

// send sends the next n of the bytes that were kept.
func (c *heldConn) send(t *testing.T, n int) {
	t.Helper()
	if _, err := c.Conn.Write(c.kept[:n]); err != nil {
		t.Fatal(err)
	}
	c.kept = c.kept[n:]
}

// restsAgain waits until the one socket has read all that was sent, and rests.
func restsAgain(t *testing.T, gw *gateway.Handler, s *gateway.Socket) {
	t.Helper()
	eventually(t, "rest with nothing unread", func() bool {
		gateway.Rest(gw)
		return gw.Stats().Resting == 1 && !gateway.Unread(s) && gw.Stats().Resting == 1
	})
}

// echoing is a recorder that echoes.
func echoing() *recorder {
	return &recorder{on: func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
		if ev.Type == gateway.EventData {
			return s.Send(ctx, ev.Message)
		}
		return nil
	}}
}

// A socket rests also while TLS holds a part of a record, and wakes for the rest of it.
func TestRestInsideARecord(t *testing.T) {
	for name, version := range secureOvers {
		t.Run(name, func(t *testing.T) {
			r := echoing()
			gw, srv := resting(t, 20*time.Millisecond, version, r)
			under := &heldConn{Conn: bareTCP(t, srv)}
			p := secure(t, under, &tls.Config{MinVersion: version, MaxVersion: version})
			p.upgrade("/")
			rests(t, gw, 1)
			s := r.socket()
			under.held = true
			for i := range 4 {
				text := fmt.Sprint("in pieces ", i)
				p.write(masked(0x81, text))
				for _, n := range []int{1, 3, 2 + i, 7, len(under.kept)} { // the header has 5 bytes
					restsAgain(t, gw, s)
					under.send(t, min(n, len(under.kept)))
				}
				p.want(0x81, text)
			}
			under.held = false
		})
	}
}

// What comes together is served together, though the reader takes less at a time than TLS
// has, and goes to rest as soon as it has served what it took.
func TestRestLeavesNothingInTLS(t *testing.T) {
	long := strings.Repeat("x", 504) // with its header as much as is read at a time
	for name, version := range secureOvers {
		t.Run(name, func(t *testing.T) {
			gw, srv := resting(t, slowTalker, version, echo())
			under := &heldConn{Conn: bareTCP(t, srv)}
			p := secure(t, under, &tls.Config{MinVersion: version, MaxVersion: version})
			p.upgrade("/")
			for i := range 10 {
				rests(t, gw, 1)
				text := long
				under.held = true
				if i%2 == 0 {
					p.write(append(masked(0x81, text), masked(0x81, text)...))
				} else {
					text = fmt.Sprint("short ", i)
					p.write(masked(0x81, text))
					p.write(masked(0x81, text))
				}
				under.held = false
				under.send(t, len(under.kept))
				p.want(0x81, text)
				p.want(0x81, text)
			}
			rests(t, gw, 1)
		})
	}
}

// A message in several records and a message in several frames, with pauses in which a
// socket would rest, come as they were sent.
func TestRestBetweenRecords(t *testing.T) {
	gw, srv := resting(t, 10*time.Millisecond, tls.VersionTLS13, echo())
	p := restDial(t, srv, tls.VersionTLS13)
	for i := range 5 {
		rests(t, gw, 1)
		text := strings.Repeat(fmt.Sprint(i), 3000)
		frame := masked(0x81, text)
		for len(frame) > 0 {
			n := min(700, len(frame))
			p.write(frame[:n])
			frame = frame[n:]
			if len(frame) > 0 {
				rests(t, gw, 0)
				time.Sleep(25 * time.Millisecond) // in which it would go to rest
				rests(t, gw, 0)
			}
		}
		p.want(0x81, text)
		rests(t, gw, 1)
		p.write(masked(0x01, "one, "))
		rests(t, gw, 0)
		time.Sleep(25 * time.Millisecond)
		if n := gw.Stats().Resting; n != 0 {
			t.Errorf("Stats().Resting = %d between the frames of a message, want 0", n)
		}
		p.write(masked(0x80, "two"))
		p.want(0x81, "one, two")
	}
}

// Records without data, and handshake messages in two records, wake a socket for nothing.
func TestRestAndKeyUpdates(t *testing.T) {
	r := echoing()
	gw, srv := resting(t, 20*time.Millisecond, tls.VersionTLS13, r)
	var keys bytes.Buffer
	under := bareTCP(t, srv)
	p := secure(t, under, &tls.Config{MinVersion: tls.VersionTLS13, KeyLogWriter: &keys})
	if p.conn.(*tls.Conn).ConnectionState().CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skip("NOT TESTED: crypto/tls prefers another cipher suite on this machine")
	}
	c := newSealer(t, clientSecret(t, &keys))
	send := func(records ...[]byte) {
		t.Helper()
		if _, err := under.Write(bytes.Join(records, nil)); err != nil {
			t.Fatal(err)
		}
	}
	send(c.seal(recordData, []byte("GET / HTTP/1.1\r\nHost: gateway.test\r\n"+upgradeFields+"\r\n")))
	p.response()
	rests(t, gw, 1)
	s := r.socket()
	for i := range 6 {
		update := []byte{24, 0, 0, 1, byte(i % 2)} // and the server's keys too, every other time
		if i < 3 {
			send(c.seal(recordHandshake, update))
		} else {
			send(c.seal(recordHandshake, update[:3]))
			restsAgain(t, gw, s)
			send(c.seal(recordHandshake, update[3:]))
		}
		c = newSealer(t, expand(t, c.secret, "traffic upd", sha256.Size))
		restsAgain(t, gw, s)
		send(c.seal(recordData, nil)) // empty
		restsAgain(t, gw, s)
		text := fmt.Sprint("with keys ", i)
		send(c.seal(recordData, masked(0x81, text)))
		p.want(0x81, text)
	}
	send(c.seal(recordAlert, []byte{1, 0})) // close_notify
	eventually(t, "the end", func() bool { return gw.Stats().Open == 0 })
}

const (
	recordAlert     = 21
	recordHandshake = 22
	recordData      = 23
)

// A sealer makes the records of TLS 1.3 (RFC 8446, section 5), for those that crypto/tls
// does not send.
type sealer struct {
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
}

func newSealer(t *testing.T, secret []byte) *sealer {
	t.Helper()
	block, err := aes.NewCipher(expand(t, secret, "key", 16))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return &sealer{secret: secret, aead: aead, iv: expand(t, secret, "iv", 12)}
}

// seal returns the next record.
func (c *sealer) seal(kind byte, p []byte) []byte {
	inner := append(bytes.Clone(p), kind)
	header := []byte{recordData, 3, 3}
	header = binary.BigEndian.AppendUint16(header, uint16(len(inner)+c.aead.Overhead()))
	nonce := bytes.Clone(c.iv)
	binary.BigEndian.PutUint64(nonce[4:], binary.BigEndian.Uint64(nonce[4:])^c.seq)
	c.seq++
	return c.aead.Seal(bytes.Clone(header), nonce, inner, header)
}

// expand is HKDF-Expand-Label of RFC 8446, section 7.1, without a context.
func expand(t *testing.T, secret []byte, label string, n int) []byte {
	t.Helper()
	label = "tls13 " + label
	info := string([]byte{0, byte(n), byte(len(label))}) + label + "\x00"
	key, err := hkdf.Expand(sha256.New, secret, info, n)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// clientSecret returns the secret that the client's first keys are made from.
func clientSecret(t *testing.T, log *bytes.Buffer) []byte {
	t.Helper()
	for line := range strings.Lines(log.String()) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "CLIENT_TRAFFIC_SECRET_0" {
			secret, err := hex.DecodeString(f[2])
			if err != nil {
				t.Fatal(err)
			}
			return secret
		}
	}
	t.Fatal("crypto/tls has not logged the client's secret")
	return nil
}

// What the handshake and large messages leave in the buffers of TLS is given back at rest, and
// nothing of what comes is lost with it. A version of Go that keeps it elsewhere fails here.
func TestRestFreesTheBuffersOfTLS(t *testing.T) {
	for name, version := range secureOvers {
		t.Run(name, func(t *testing.T) {
			r := echoing()
			gw, srv := resting(t, time.Millisecond, version, r)
			under := &heldConn{Conn: bareTCP(t, srv)}
			p := secure(t, under, &tls.Config{MinVersion: version, MaxVersion: version})
			p.upgrade("/")
			rests(t, gw, 1)
			for i, text := range []string{"", "short", strings.Repeat("long", 10_000), "short"} {
				if text != "" {
					p.write(masked(0x81, text))
					p.want(0x81, text)
				}
				size, buffers := 0, 0
				eventually(t, "rest", func() (rested bool) {
					gateway.Rest(gw)
					size, buffers, rested = gateway.TLSBuffers(r.socket())
					return rested
				})
				if size > 2<<10 || buffers != 2 {
					t.Errorf("after message %d TLS has %d bytes in %d buffers at rest, want at most 2048 "+
						"in 2", i, size, buffers)
				}
			}
			under.held = true
			p.write(masked(0x81, strings.Repeat("x", 10_000)))
			under.send(t, 5_000) // of one record: it stays
			restsAgain(t, gw, r.socket())
			under.send(t, len(under.kept))
			p.want(0x81, strings.Repeat("x", 10_000))
			under.held = false
		})
	}
}
