package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// window is how many messages of a client are under way.
const window = 16

// A client sends one message again and again, and checks each answer. It costs
// little beside what it measures: its frames are made in advance.
type client struct {
	nc     net.Conn
	in     *bufio.Reader
	frames []byte // window frames
	answer string
	buf    []byte
}

// dial opens a socket with the headers that a browser sends.
func dial(ctx context.Context, address, message, answer string) (*client, error) {
	return dialPath(ctx, address, "/bench?tab=1", message, answer)
}

func dialPath(ctx context.Context, address, path, message, answer string) (*client, error) {
	nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &client{nc: nc, in: bufio.NewReader(nc), answer: answer, buf: make([]byte, len(answer))}
	for range window {
		c.frames = appendFrame(c.frames, message)
	}
	if err := c.upgrade(address, path); err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	return c, nil
}

func (c *client) upgrade(address, path string) error {
	_, err := fmt.Fprintf(c.nc,
		"GET %[2]s HTTP/1.1\r\nHost: %[1]s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: "+
			"http://%[1]s\r\n"+
			"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "+
			"Chrome/140.0.0.0 Safari/537.36\r\n"+
			"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\nCookie: "+
			"session=0123456789abcdef; theme=dark\r\n"+
			"Pragma: no-cache\r\nCache-Control: no-cache\r\n\r\n", address, path)
	if err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("answered with %s", resp.Status)
	}
	return nil
}

// appendFrame appends a text frame (RFC 6455, 5.2), masked with zeros.
func appendFrame(b []byte, text string) []byte {
	b = append(b, 0x81)
	if len(text) < 126 {
		b = append(b, 0x80|byte(len(text)))
	} else {
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(len(text)))
	}
	return append(append(b, 0, 0, 0, 0), text...)
}

// send sends n messages and awaits their answers.
func (c *client) send(n int) error {
	if err := c.nc.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		return err
	}
	for n > 0 {
		now := min(n, window)
		if _, err := c.nc.Write(c.frames[:len(c.frames)/window*now]); err != nil {
			return err
		}
		for range now {
			if err := c.receive(); err != nil {
				return err
			}
		}
		n -= now
	}
	return nil
}

// receive reads a text frame and checks it.
func (c *client) receive() error {
	var head [4]byte
	if _, err := io.ReadFull(c.in, head[:2]); err != nil {
		return err
	}
	length := int(head[1])
	if length == 126 {
		if _, err := io.ReadFull(c.in, head[2:]); err != nil {
			return err
		}
		length = int(binary.BigEndian.Uint16(head[2:]))
	}
	if head[0] != 0x81 || length != len(c.answer) {
		return fmt.Errorf("a frame %x of %d bytes, want the answer %q", head[0], length, c.answer)
	}
	if _, err := io.ReadFull(c.in, c.buf); err != nil {
		return err
	}
	if string(c.buf) != c.answer {
		return fmt.Errorf("answered %q, want %q", c.buf, c.answer)
	}
	return nil
}

func (c *client) close() error { return c.nc.Close() }
