package gateway_test

import (
	"bytes"
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

// dialBare opens a socket with a browser's headers.
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
	c.write(t, []byte(browserRequest))
	c.until(t, []byte("\r\n\r\n"))
	return c
}

// browserRequest is what a page of a browser sends.
const browserRequest = "GET /ws HTTP/1.1\r\nHost: gateway.example.com\r\nConnection: Upgrade\r\n" +
	"Pragma: no-cache\r\nCache-Control: no-cache\r\n" +
	"User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) " +
	"Chrome/131.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\nOrigin: http://gateway.example.com\r\n" +
	"Sec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Accept-Language: en-US,en;q=0.9\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"

func (c bareClient) write(t *testing.T, p []byte) {
	t.Helper()
	if _, err := syscall.Write(int(c), p); err != nil {
		t.Fatal(err)
	}
}

// until reads up to what the answer ends with.
func (c bareClient) until(t *testing.T, end []byte) {
	t.Helper()
	var buf [1 << 10]byte
	for n := 0; !bytes.HasSuffix(buf[:n], end); {
		m, err := syscall.Read(int(c), buf[n:])
		if err != nil || m == 0 {
			t.Fatalf("read %d, %v after %q", m, err, buf[:n])
		}
		n += m
	}
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

// A socket that has talked right after connecting, and rests, costs what ARCHITECTURE.md
// says.
func TestRestMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory of its own")
	}
	const n, most = 1000, 1300
	gw, srv := resting(t, 200*time.Millisecond, echo())
	addr := srv.Listener.Addr().(*net.TCPAddr)
	message := masked(0x81, "hello")
	echoed := []byte("\x81\x05hello")
	haveGoroutines(3 * n)
	clients := make([]bareClient, 0, n)
	defer func() {
		for _, c := range clients {
			c.close()
		}
	}()
	open := func(n int) {
		for range n {
			c := dialBare(t, addr)
			c.write(t, message)
			c.until(t, echoed)
			clients = append(clients, c)
		}
		eventually(t, "rest", func() bool { return gw.Stats().Resting == len(clients) })
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
	if stack := (stacksAfter - stacks) / n; stack > 256 {
		t.Errorf("a socket at rest holds %d bytes of stacks, want next to none", stack)
	}
}
