package gateway_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
)

// A bareClient is a client of which this process holds a descriptor and nothing else, so
// that what is measured is the server's.
type bareClient int

// dialBare connects to a server.
func dialBare(t *testing.T, addr *net.TCPAddr) bareClient {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := bareClient(fd)
	to := &syscall.SockaddrInet4{Port: addr.Port, Addr: [4]byte(addr.IP.To4())}
	if err := syscall.Connect(fd, to); err != nil {
		t.Fatal(err)
	}
	// As Go's own connections: or each small write waits 40 ms for the server's delayed ACK.
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil {
		t.Fatal(err)
	}
	return c
}

// talk opens a socket with a browser's headers, over TLS if secure, and has one message
// echoed. What TLS needs at this end is forgotten then.
func (c bareClient) talk(t *testing.T, secure bool) {
	t.Helper()
	var rw io.ReadWriter = c
	if secure {
		rw = tls.Client(bareConn{bareClient: c}, &tls.Config{InsecureSkipVerify: true})
	}
	say := func(p, end []byte) {
		if _, err := rw.Write(p); err != nil {
			t.Fatal(err)
		}
		var buf [1 << 10]byte
		for n := 0; !bytes.HasSuffix(buf[:n], end); {
			m, err := rw.Read(buf[n:])
			if err != nil {
				t.Fatalf("read %d, %v after %q", m, err, buf[:n])
			}
			n += m
		}
	}
	say([]byte(browserRequest), []byte("\r\n\r\n"))
	say(masked(0x81, "hello"), []byte("\x81\x05hello"))
}

// A bareConn is a bareClient as crypto/tls wants it.
type bareConn struct {
	net.Conn // nil
	bareClient
}

func (c bareConn) Read(p []byte) (int, error)  { return c.bareClient.Read(p) }
func (c bareConn) Write(p []byte) (int, error) { return c.bareClient.Write(p) }

// browserRequest is what a page of a browser sends.
const browserRequest = "GET /ws HTTP/1.1\r\nHost: gateway.example.com\r\nConnection: Upgrade\r\n" +
	"Pragma: no-cache\r\nCache-Control: no-cache\r\n" +
	"User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) " +
	"Chrome/131.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\nOrigin: http://gateway.example.com\r\n" +
	"Sec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Accept-Language: en-US,en;q=0.9\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"

func (c bareClient) Write(p []byte) (int, error) { return syscall.Write(int(c), p) }

func (c bareClient) Read(p []byte) (int, error) {
	n, err := syscall.Read(int(c), p)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}

func (c bareClient) close() { syscall.Close(int(c)) }

// heldMemory is what the process holds when the collector is through with it: bytes of the
// heap, and of stacks.
func heldMemory() (heap, stacks int64) {
	for range 3 { // pools need two
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc), int64(m.StackInuse)
}

// haveGoroutines sees to it that n goroutines can run without memory that is new, as the
// runtime keeps it of those that have ended.
func haveGoroutines(n int) {
	var all sync.WaitGroup
	end := make(chan struct{})
	for range n {
		all.Go(func() { <-end })
	}
	close(end)
	all.Wait()
}

// A Socket stays in its size class of the allocator, which is 640 bytes with 8 of its own:
// the next one is 704.
func TestSocketSize(t *testing.T) {
	if gateway.SocketSize > 632 {
		t.Errorf("a Socket has %d bytes, want at most 632: what is not needed at rest belongs into "+
			"conn.reading, outbox.aside or rareState", gateway.SocketSize)
	}
}

// mostUnderTLS is what a socket at rest holds with what crypto/tls keeps of its connection.
const mostUnderTLS = 4800

// A socket that has talked right after connecting, and rests, costs what ARCHITECTURE.md
// says.
func TestRestMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory of its own")
	}
	for name, most := range map[string]int64{"TCP": 1300, "TLS 1.3": mostUnderTLS} {
		t.Run(name, func(t *testing.T) { restMemory(t, overs[name], most) })
	}
}

func restMemory(t *testing.T, over uint16, most int64) {
	const n = 1000
	gw, srv := resting(t, 200*time.Millisecond, over, echo())
	addr := srv.Listener.Addr().(*net.TCPAddr)
	haveGoroutines(3 * n)
	clients := make([]bareClient, 0, n)
	defer func() {
		for _, c := range clients {
			c.close()
		}
	}()
	open := func(n int64) {
		for range n {
			c := dialBare(t, addr)
			clients = append(clients, c)
			c.talk(t, over != 0)
		}
		rests(t, gw, len(clients))
	}
	open(10) // what the first ones bring into being is not theirs alone
	heap, stacks := heldMemory()
	open(n)
	heapAfter, stacksAfter := heldMemory()
	each := (heapAfter - heap) / n
	t.Logf("a socket at rest holds %d bytes of the heap and %d of stacks",
		each, (stacksAfter-stacks)/n)
	if each > most {
		t.Errorf("a socket at rest holds %d bytes of the heap, want at most %d", each, most)
	}
	// Memory of stacks comes in pieces of 32 KB, and each of a few goroutines may keep one. A
	// socket's would have 2,048 bytes at least.
	if stack := (stacksAfter - stacks - 1<<20) / n; stack > 256 {
		t.Errorf("a socket at rest holds %d bytes of stacks, want next to none", stack)
	}
}
