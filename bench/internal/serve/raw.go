package serve

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
)

// raw is what remains without a protocol: a goroutine per connection that
// parses nothing but lengths and writes the same bytes back.
type raw struct{}

func newRaw(Config) (server, error) { return raw{}, nil }

func (raw) serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go echoRaw(c)
	}
}

func echoRaw(c net.Conn) {
	defer c.Close()
	br := bufio.NewReader(c)
	buf := make([]byte, 128)
	for {
		if _, err := io.ReadFull(br, buf[:4]); err != nil {
			return
		}
		n := 4 + int(binary.BigEndian.Uint32(buf))
		if n > 1<<20 {
			return
		}
		if n > len(buf) {
			buf = append(buf[:4], make([]byte, n)...)
		}
		if _, err := io.ReadFull(br, buf[4:n]); err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

var errNoSuchThing = errors.New("raw TCP has no broadcast and no ids")

func (raw) broadcast([]byte) error    { return errNoSuchThing }
func (raw) ids() []string             { return nil }
func (raw) send(string, []byte) error { return errNoSuchThing }
