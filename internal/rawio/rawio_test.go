//go:build unix && !aix

package rawio

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"
)

// pair returns a Conn on one end of a TCP connection, and both ends.
func pair(t *testing.T, stay bool) (*Conn, *net.TCPConn, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	deadline := time.Now().Add(30 * time.Second) // so that a failure is not a hang
	client.SetDeadline(deadline)
	server.SetDeadline(deadline)
	c := new(Conn)
	if !c.Init(server, stay) {
		t.Fatal("Init of a TCP connection = false")
	}
	return c, server.(*net.TCPConn), client.(*net.TCPConn)
}

// A keeper keeps what it took, and is done until it has want bytes.
type keeper struct {
	got   []byte
	want  int
	calls int
	each  func()
}

func (k *keeper) Took(p []byte) bool {
	k.calls++
	k.got = append(k.got, p...)
	if k.each != nil {
		k.each()
	}
	return len(k.got) < k.want
}

// Only what has a descriptor of its own can be read and written this way.
func TestInit(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	_, server, _ := pair(t, false)
	for name, conn := range map[string]net.Conn{"a pipe": a, "a wrapper": struct{ net.Conn }{server}} {
		if new(Conn).Init(conn, true) {
			t.Errorf("Init of %s = true", name)
		}
	}
	c, _, _ := pair(t, true)
	if c.Stays() != (runtime.GOOS == "linux") {
		t.Errorf("Stays() = %v", c.Stays())
	}
	if c, _, _ = pair(t, false); c.Stays() {
		t.Error("Stays() of one that need not = true")
	}
}

// Read hands on what comes: one read at a time, or as long as the sink is done with it.
func TestRead(t *testing.T) {
	for _, stay := range []bool{false, true} {
		c, _, client := pair(t, stay)
		k := &keeper{want: 10}
		next := make(chan bool, 1)
		k.each = func() { next <- true }
		var writer sync.WaitGroup
		writer.Go(func() {
			for range 5 {
				client.Write([]byte("ab"))
				<-next
			}
			client.CloseWrite()
		})
		var buf *Buffer
		reads := 0
		var err error
		for err == nil {
			err = c.Read(new(Reader), &buf, k)
			reads++
		}
		writer.Wait()
		want := 6 // five reads, and the end
		if stay && c.Stays() {
			want = 2
		}
		if string(k.got) != "ababababab" || reads != want || err != io.EOF {
			t.Errorf("stay=%v: %q in %d reads, %v, want %d", stay, k.got, reads, err, want)
		}
		if buf != nil {
			PutBuffer(buf)
		}
	}
}

// A read that waits holds no buffer, ends at a deadline, and can be repeated.
func TestReadThatIsWoken(t *testing.T) {
	c, server, client := pair(t, true)
	server.SetReadDeadline(time.Unix(1, 0))
	buf := GetBuffer()
	k := &keeper{}
	if err := c.Read(new(Reader), &buf, k); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read = %v, want the deadline", err)
	}
	server.SetReadDeadline(time.Time{})
	client.Write([]byte("x"))
	if err := c.Read(new(Reader), &buf, k); err != nil || string(k.got) != "x" || buf == nil {
		t.Errorf("Read = %v, %q, want x in its buffer", err, k.got)
	}
}

// Peek and More leave what there is; ReadNow takes it, and never waits. Both may be called
// while the reader is in its sink.
func TestPeekAndReadNow(t *testing.T) {
	c, _, client := pair(t, true)
	var p [8]byte
	if n, some := c.Peek(p[:]); n != 0 || some || c.More() {
		t.Errorf("Peek of nothing = %d, %v", n, some)
	}
	if n, err := c.ReadNow(p[:]); n != 0 || err != nil {
		t.Errorf("ReadNow of nothing = %d, %v", n, err)
	}
	k := &keeper{each: func() {
		client.Write([]byte("second"))
		for !c.More() {
			runtime.Gosched()
		}
		if n, some := c.Peek(p[:]); string(p[:n]) != "second" || !some {
			t.Errorf("Peek = %q, %v", p[:n], some)
		}
		if n, err := c.ReadNow(p[:3]); string(p[:n]) != "sec" || err != nil {
			t.Errorf("ReadNow = %q, %v", p[:n], err)
		}
		if n, err := c.ReadNow(p[:]); string(p[:n]) != "ond" || err != nil {
			t.Errorf("ReadNow = %q, %v", p[:n], err)
		}
	}}
	client.Write([]byte("first"))
	var buf *Buffer
	if err := c.Read(new(Reader), &buf, k); err != nil || string(k.got) != "first" {
		t.Errorf("Read = %q, %v", k.got, err)
	}
	client.CloseWrite()
	for !c.More() {
		runtime.Gosched()
	}
	if n, some := c.Peek(p[:]); n != 0 || !some {
		t.Errorf("Peek at the end = %d, %v, want 0 and true", n, some)
	}
	if n, err := c.ReadNow(p[:]); n != 0 || err != io.EOF {
		t.Errorf("ReadNow at the end = %d, %v, want EOF", n, err)
	}
}

// Shutdown ends a read that waits, and does not wait for a sink.
func TestShutdown(t *testing.T) {
	c, _, client := pair(t, true)
	k := &keeper{want: 100, each: func() { c.Shutdown() }}
	client.Write([]byte("x"))
	var buf *Buffer
	if err := c.Read(new(Reader), &buf, k); err != io.EOF || string(k.got) != "x" {
		t.Errorf("Read = %q, %v, want x and the end", k.got, err)
	}
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the client reads %v, want the end", err)
	}
}

// A source gives pieces until all is written.
type source struct {
	left  []byte
	stuck int
}

func (s *source) Next(written int) []byte {
	s.left = s.left[written:]
	if len(s.left) == 0 {
		return nil
	}
	return s.left[:min(len(s.left), 100_000)]
}

func (s *source) Blocked(written int) { s.left = s.left[written:]; s.stuck++ }

// A write stops where the client does not read, says what is written, and goes on there.
func TestWriteAllAndUnsent(t *testing.T) {
	c, server, client := pair(t, false)
	all := bytes.Repeat([]byte("0123456789"), 1<<20)
	src := &source{left: all}
	stuck, err := c.WriteAll(src, false)
	if !stuck || err != nil || src.stuck != 1 {
		t.Fatalf("WriteAll to a client that does not read = %v, %v", stuck, err)
	}
	if n, err := c.TryWrite([]byte("x")); n != 0 || err != nil {
		t.Errorf("TryWrite to a client that does not read = %d, %v", n, err)
	}
	if n, known := Unsent(server); known != (runtime.GOOS == "linux") || known && n == 0 {
		t.Errorf("Unsent = %d, %v", n, known)
	}
	var got []byte
	var reader sync.WaitGroup
	reader.Go(func() { got, _ = io.ReadAll(client) })
	if stuck, err := c.WriteAll(src, true); stuck || err != nil {
		t.Errorf("WriteAll that waits = %v, %v", stuck, err)
	}
	server.CloseWrite()
	reader.Wait()
	if !bytes.Equal(got, all) {
		t.Errorf("%d bytes came, want %d, as they were", len(got), len(all))
	}
}

// A write to a connection that is gone fails, and what was written before is told.
func TestWriteThatFails(t *testing.T) {
	c, server, _ := pair(t, false)
	server.Close()
	if _, err := c.WriteAll(&source{left: []byte("x")}, false); err == nil {
		t.Error("WriteAll to a closed connection = nil")
	}
	if _, err := c.TryWrite([]byte("x")); err == nil {
		t.Error("TryWrite to a closed connection = nil")
	}
	if n, known := Unsent(server); known {
		t.Errorf("Unsent of a closed connection = %d", n)
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, known := Unsent(a); known {
		t.Error("Unsent of a pipe is known")
	}
}
