package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
)

// uncounted is what docs/limits.md says of what is not counted of a socket.
const uncounted = 64 << 10

// A siege is a gateway on real connections with many hostile clients and some good ones.
type siege struct {
	t     *testing.T
	n     int // hostile clients
	goods int // good ones
	lasts time.Duration
	opts  gateway.Options
	gw    *gateway.Handler
	addr  string

	hostile    []net.Conn
	goodOnes   []*goodClient
	background sync.WaitGroup
	over       atomic.Bool
}

// A smallListener gives its connections small buffers for sending in the kernel, so that
// what clients do not read is the gateway's to hold.
type smallListener struct{ *net.TCPListener }

func (l smallListener) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	c.SetWriteBuffer(16 << 10)
	return c, nil
}

func newSiege(t *testing.T) *siege {
	g := &siege{t: t, n: 200, goods: 30, lasts: 1500 * time.Millisecond}
	if raceEnabled { // everything takes longer then
		g.n, g.goods, g.lasts = 100, 20, 600*time.Millisecond
	}
	g.opts = gateway.Options{MaxQueuedBytes: 16 << 20, MaxReceivingBytes: 4 << 20}
	if v := os.Getenv("GATEWAY_HOSTILE"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatalf("GATEWAY_HOSTILE: %v", err)
		}
		g.n, g.goods, g.lasts = n, 100, 5*time.Second
		g.opts = gateway.Options{MaxQueuedBytes: 256 << 20, MaxReceivingBytes: 64 << 20}
	}
	g.opts.Logger = slog.New(slog.DiscardHandler)
	g.opts.Compression = true
	g.opts.MessagesPerSecond = -1
	g.gw = gateway.New(&g.opts)
	g.gw.Handle("/echo", echo())
	g.gw.Handle("/good", echo())
	g.gw.Handle("/hostile", gateway.Callbacks{})
	large := gateway.Binary(make([]byte, 900_000))
	g.gw.Handle("/large", gateway.Callbacks{
		OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			return s.Send(ctx,
				large)
		},
	})
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	g.addr = l.Addr().String()
	srv := &http.Server{Handler: g.gw, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	served := make(chan struct{})
	go func() { srv.Serve(smallListener{l}); close(served) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := g.gw.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown = %v, want nil", err)
		}
		srv.Close()
		<-served
		if left := gateway.Leftovers(g.gw); left != nil {
			t.Errorf("after Shutdown the gateway still holds %q, want nothing", left)
		}
	})
	return g
}

// base is what may grow besides: garbage that is not collected yet, pools and clients.
func (g *siege) base() int64 { return 16 << 20 }

// dial opens a socket; nil if it was refused.
func (g *siege) dial(path, header string) net.Conn {
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	if path != "/good" {
		c.(*net.TCPConn).SetReadBuffer(8 << 10)
	}
	c.SetDeadline(time.Now().Add(30 * time.Second))
	io.WriteString(c,
		"GET "+path+" HTTP/1.1\r\nHost: test\r\n"+upgradeFields+header+"\r\n")
	var answer []byte // byte by byte: there is no buffer to be kept
	for one := make([]byte, 1); !bytes.HasSuffix(answer, []byte("\r\n\r\n")); answer = append(answer,
		one[0]) {
		if _, err := c.Read(one); err != nil {
			g.t.Fatalf("the answer to %s: %v", path, err)
		}
	}
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 101 ")) {
		if !bytes.HasPrefix(answer, []byte("HTTP/1.1 503 ")) {
			g.t.Errorf("the answer to %s is %q, want 101 or 503", path, answer)
		}
		c.Close()
		return nil
	}
	return c
}

func (g *siege) connect(path, header string) {
	for range g.n {
		if c := g.dial(path, header); c != nil {
			g.hostile = append(g.hostile, c)
		}
	}
}

func (g *siege) ids(route string) []string {
	all, err := g.gw.List(context.Background())
	if err != nil {
		g.t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(id string) bool {
		info, err := g.gw.Info(context.Background(), id)
		return err != nil || info.Route != route
	})
}

// live returns the bytes that are alive in heap and stacks.
func (g *siege) live() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// A held is what was held at most.
type held struct{ live, queued, received int64 }

// watch looks at what is held until the function is called that it returns.
func (g *siege) watch() (stop func() held) {
	var most held
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			st := g.gw.Stats()
			most.queued = max(most.queued, st.QueuedBytes)
			most.received = max(most.received, st.ReceivingBytes)
			if i%20 == 0 {
				most.live = max(most.live, g.live())
			}
			select {
			case <-over:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() held { close(over); <-done; return most }
}

// A goodClient reads what it is sent.
type goodClient struct {
	c    net.Conn
	br   *bufio.Reader
	id   string
	stop chan struct{}
	left chan struct{}

	// Read after left is closed.
	waits []time.Duration
	err   error
}

func (g *siege) meetGood() {
	for range g.goods {
		c := g.dial("/good", "")
		if c == nil {
			g.t.Fatal("a good client is refused")
		}
		c.SetDeadline(time.Now().Add(5 * time.Minute))
		g.goodOnes = append(g.goodOnes, &goodClient{c: c, br: bufio.NewReader(c),
			stop: make(chan struct{}), left: make(chan struct{})})
	}
	ids := g.ids("/good")
	for i, c := range g.goodOnes { // whose id is whose does not matter but for the answers
		c.id = ids[i]
		wantErr(g.t, "Send", g.gw.Send(context.Background(), ids[i], gateway.Text(ids[i])), nil)
	}
	for _, c := range g.goodOnes {
		id, err := c.read()
		if c.id = id; err != nil {
			g.t.Fatal(err)
		}
		go g.good(c)
	}
}

func (g *siege) leaveGood() {
	for _, c := range g.goodOnes {
		close(c.stop)
	}
	for _, c := range g.goodOnes {
		<-c.left
		if c.err != nil {
			g.t.Errorf("a good client after %d echoes: %v", len(c.waits), c.err)
		}
	}
}

func (g *siege) latency() string {
	var all []time.Duration
	for _, c := range g.goodOnes {
		all = append(all, c.waits...)
	}
	if len(all) == 0 {
		return "no echo"
	}
	slices.Sort(all)
	return fmt.Sprintf("%d echoes, p50 %v, p99 %v", len(all), all[len(all)/2], all[len(all)*99/100])
}

func (c *goodClient) echo(text string) error {
	if _, err := c.c.Write(masked(0x81, text)); err != nil {
		return err
	}
	return c.expect(text)
}

func (c *goodClient) expect(prefix string) error {
	got, err := c.read()
	if err == nil && !strings.HasPrefix(got, prefix) {
		err = fmt.Errorf("received %.20q, want %.20q", got, prefix)
	}
	return err
}

// read returns the next message; pings are passed over.
func (c *goodClient) read() (string, error) {
	for {
		var h [2]byte
		if _, err := io.ReadFull(c.br, h[:]); err != nil {
			return "", err
		}
		n := int(h[1])
		if n >= 126 {
			var ext [8]byte
			size := map[int]int{126: 2, 127: 8}[n]
			if _, err := io.ReadFull(c.br, ext[:size]); err != nil {
				return "", err
			}
			n = 0
			for _, b := range ext[:size] {
				n = n<<8 | int(b)
			}
		}
		p := make([]byte, n)
		if _, err := io.ReadFull(c.br, p); err != nil {
			return "", err
		}
		switch {
		case h[0] == 0x88:
			return "", fmt.Errorf("closed with %q", p)
		case h[0] != 0x89:
			return string(p), nil
		}
	}
}

// end cuts the hostile clients, and waits until nothing is held any more.
func (g *siege) end() {
	g.over.Store(true)
	g.background.Wait()
	for _, c := range g.hostile {
		c.(*net.TCPConn).SetLinger(0) // what it has written is of no interest any more
		c.Close()
	}
	for _, c := range g.goodOnes {
		c.c.Close()
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		st := g.gw.Stats()
		if st.Open == 0 && st.QueuedBytes == 0 && st.ReceivingBytes == 0 {
			return
		}
		if time.Now().After(deadline) {
			g.t.Fatalf("30 s after all clients have gone, %d sockets are open, %d and %d bytes are counted",
				st.Open, st.QueuedBytes, st.ReceivingBytes)
		}
	}
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }
