// Package inmem opens sockets whose connections are in memory: there can be more of them
// than loopback has ports, and none needs a descriptor.
package inmem

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/wsgateway/gateway/bench/internal/load"
)

// A Conn is the connection of a client that says nothing.
type Conn struct {
	take  func(p []byte) (int, error)
	once  sync.Once
	ended chan struct{}
}

// Open asks the server for a socket. Everything that the server writes goes to take, which
// is called by one goroutine at a time and answers as a Write does.
func Open(server http.Handler, take func(p []byte) (int, error)) (*Conn, error) {
	head := load.Request(load.Target{Addr: "gateway.test"})
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		return nil, err
	}
	r.RemoteAddr = "127.0.0.1:1"
	c := &Conn{take: take, ended: make(chan struct{})}
	w := &hijackable{conn: c}
	if server.ServeHTTP(w, r); w.refusal.Len() > 0 {
		return nil, fmt.Errorf("a socket is refused: %s", &w.refusal)
	}
	return c, nil
}

// Write takes what the server writes.
func (c *Conn) Write(p []byte) (int, error) { return c.take(p) }

// Read says nothing until the end.
func (c *Conn) Read([]byte) (int, error) {
	<-c.ended
	return 0, io.EOF
}

// Close ends the connection, for the server as for the client.
func (c *Conn) Close() error {
	c.once.Do(func() { close(c.ended) })
	return nil
}

var addr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}

func (*Conn) LocalAddr() net.Addr              { return addr }
func (*Conn) RemoteAddr() net.Addr             { return addr }
func (*Conn) SetDeadline(time.Time) error      { return nil }
func (*Conn) SetReadDeadline(time.Time) error  { return nil }
func (*Conn) SetWriteDeadline(time.Time) error { return nil }

// hijackable is a response whose connection is a Conn.
type hijackable struct {
	conn    *Conn
	header  http.Header
	refusal bytes.Buffer
}

// nothingRead is what net/http has read of a request beyond its head.
var nothingRead = bufio.NewReadWriter(bufio.NewReaderSize(strings.NewReader(""), 16), nil)

func (w *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.conn, nothingRead, nil
}

func (w *hijackable) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}

func (w *hijackable) Write(p []byte) (int, error) { return w.refusal.Write(p) }
func (w *hijackable) WriteHeader(int)             {}
