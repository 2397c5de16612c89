package gateway_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
)

// The benchmarks of one process, to be compared with benchstat before and after a
// change:
//
//	go test -run '^$' -bench . -count 10 . > new.txt && benchstat old.txt new.txt
//
// Clients and gateway share the process and its cores, so times are of both; the
// clients allocate nothing, so allocations are the gateway's. Where the name says
// memory there is no network, and where it says tcp the real one on loopback. How
// the gateway compares with others is the business of module bench.

// payload is the text of the usual benchmark message, and frameSize its frame's.
var payload = strings.Repeat("x", 64)

const frameSize = 2 + 64

// BenchmarkEcho is one message to an echo endpoint and back.
func BenchmarkEcho(b *testing.B) {
	for _, size := range []int{64, 1 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("tcp/size=%d", size),
			func(b *testing.B) { benchEcho(b, benchDial(b, "tcp", echo()), size, 1) })
	}
	b.Run("tcp/pipelined=100",
		func(b *testing.B) { benchEcho(b, benchDial(b, "tcp", echo()), 64, 100) })
	b.Run("tls/size=64", func(b *testing.B) { benchEcho(b, benchDial(b, "tls", echo()), 64, 1) })
	b.Run("memory/size=64", func(b *testing.B) { benchEcho(b, benchDial(b, "memory", echo()), 64, 1) })
}

// benchEcho sends messages, so many at a time, and reads the replies.
func benchEcho(b *testing.B, p *rawPeer, size, pipelined int) {
	message := bytes.Repeat(masked(0x82, strings.Repeat("x", size)), pipelined)
	reply := make([]byte, len(message)-4*pipelined) // frames to a client are not masked
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%pipelined != 0 {
			continue
		}
		p.write(message)
		if _, err := io.ReadFull(p.br, reply); err != nil {
			b.Fatal(err)
		}
	}
}

// benchDial serves an endpoint over a kind of network and opens a socket.
func benchDial(b *testing.B, network string, ep gateway.Endpoint) *rawPeer {
	gw := quiet()
	gw.Handle("/", ep)
	var p *rawPeer
	if network == "memory" {
		p = rawConn(b, gatewaytest.NewServer(b, gw))
	} else {
		p = dialTCP(b, serveTCP(b, gw, network == "tls"))
		p.conn.SetDeadline(time.Time{})
	}
	p.upgrade("/")
	return p
}

// An audience is a gateway on loopback with clients that count the bytes they
// get.
type audience struct {
	gw  *gateway.Handler
	ids []string
	got atomic.Int64
}

func newAudience(b *testing.B, n int) *audience {
	a := &audience{gw: quiet()}
	a.gw.Handle("/", echo())
	srv := serveTCP(b, a.gw, false)
	for range n {
		p := dialTCP(b, srv)
		p.conn.SetDeadline(time.Time{})
		p.upgrade("/")
		go a.listen(p.conn) // ends when Shutdown ends the connection
	}
	ids, err := a.gw.List(b.Context())
	if err != nil || len(ids) != n {
		b.Fatalf("List = %d ids, %v, want %d", len(ids), err, n)
	}
	a.ids = ids
	return a
}

func (a *audience) listen(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 16<<10)
	for {
		n, err := conn.Read(buf)
		if n >= 4 && buf[n-4-len("drain")] == 0x88 { // the close frame of Shutdown
			return
		}
		a.got.Add(int64(n))
		if err != nil {
			return
		}
	}
}

// hear waits until the clients have so many bytes.
func (a *audience) hear(want int64) {
	for a.got.Load() < want {
		runtime.Gosched()
	}
}

// BenchmarkSend is one message to one of many sockets by its id, in bursts: 50
// for each socket at once, then waiting until all have arrived.
func BenchmarkSend(b *testing.B) {
	const sockets, burst = 100, 50 * 100
	b.Run("tcp", func(b *testing.B) {
		a := newAudience(b, sockets)
		m, ctx := gateway.Text(payload), context.Background()
		b.SetBytes(int64(len(payload)))
		b.ReportAllocs()
		sent := int64(0)
		for b.Loop() {
			if err := a.gw.Send(ctx, a.ids[sent%sockets], m); err != nil {
				b.Fatal(err)
			}
			if sent++; sent%burst == 0 {
				a.hear(sent * frameSize)
			}
		}
		a.hear(sent * frameSize)
	})
}

// BenchmarkBroadcast is one message to all of many sockets, in bursts of 50, then
// waiting until all have arrived.
func BenchmarkBroadcast(b *testing.B) {
	for _, sockets := range []int64{10, 1000} {
		b.Run(fmt.Sprintf("tcp/sockets=%d", sockets), func(b *testing.B) {
			a := newAudience(b, int(sockets))
			m, ctx := gateway.Text(payload), context.Background()
			b.ReportAllocs()
			sent := int64(0)
			for b.Loop() {
				if n, err := a.gw.All().Send(ctx, m); err != nil || int64(n) != sockets {
					b.Fatalf("Send = %d, %v, want %d", n, err, sockets)
				}
				if sent++; sent%50 == 0 {
					a.hear(sent * sockets * frameSize)
				}
			}
			a.hear(sent * sockets * frameSize)
			perMember(b, int(sockets))
		})
	}
}

// perMember reports the time for each receiver of one operation.
func perMember(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/member")
}

// BenchmarkRegistry is what must not depend on the number of sockets: sending to
// one of them, telling that an id is unknown, describing one, and counting.
func BenchmarkRegistry(b *testing.B) {
	ctx := context.Background()
	for _, sockets := range []int{1_000, 10_000, 100_000} {
		name := func(what string) string { return fmt.Sprintf("%s/sockets=%d", what, sockets) }
		c := newCrowd(b, sockets)
		b.Run(name("send"), func(b *testing.B) { benchCrowdSend(b, c) })
		b.Run(name("unknown"), func(b *testing.B) {
			b.ReportAllocs()
			id := c.ids[0][:len(c.ids[0])-2] + "00"
			for b.Loop() {
				if err := c.gw.Close(ctx, id); err != gateway.ErrNotFound {
					b.Fatalf("Close of an unknown id = %v", err)
				}
			}
		})
		b.Run(name("info"), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := c.gw.Info(ctx, c.ids[i%sockets]); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name("stats"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if n := c.gw.Stats().Open; n != sockets {
					b.Fatalf("Stats().Open = %d, want %d", n, sockets)
				}
			}
		})
		b.Run(name("list"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				for range c.gw.ListSeq(ctx) {
					n++
				}
				if n != sockets {
					b.Fatalf("ListSeq yields %d ids, want %d", n, sockets)
				}
			}
			perMember(b, sockets)
		})
		c.leave(b)
	}
}

// leave ends a crowd before the benchmark does.
func (c *crowd) leave(b *testing.B) {
	if _, err := c.gw.CloseAll(context.Background()); err != nil {
		b.Fatal(err)
	}
	for c.open.Load() > 0 {
		runtime.Gosched()
	}
	runtime.GC()
}

// benchCrowdSend sends to a thousand of the sockets by turns, always the same: if
// it sent to all, it would measure the processor's caches. After each thousand
// messages it waits until they are written, so that no queue fills.
func benchCrowdSend(b *testing.B, c *crowd) {
	m, ctx := gateway.Text(payload), context.Background()
	b.ReportAllocs()
	start, sent := c.taken.Load(), int64(0)
	for i := 0; b.Loop(); i++ {
		if err := c.gw.Send(ctx, c.ids[i%1000*(len(c.ids)/1000)], m); err != nil {
			b.Fatal(err)
		}
		if sent++; sent%1000 == 0 {
			c.await(b, &c.taken, start+sent*frameSize)
		}
	}
	c.await(b, &c.taken, start+sent*frameSize)
}

// BenchmarkConnect is a socket from its request to its close event. The gateway's
// part alone is memory; tcp is the whole: dialling, net/http, the close handshake
// and the end of TCP.
func BenchmarkConnect(b *testing.B) {
	b.Run("memory", func(b *testing.B) {
		c := newCrowd(b, 0)
		ended := make(chan struct{}, 1)
		c.gw.Handle("/once/now", gateway.Callbacks{
			OnOpen:  func(context.Context, *gateway.Socket) error { return &gateway.CloseError{} },
			OnClose: func(context.Context, *gateway.Socket, gateway.Closed) { ended <- struct{}{} },
		})
		r := sinkRequest("/once/now")
		w := &sinkWriter{ResponseRecorder: httptest.NewRecorder()}
		b.ReportAllocs()
		for b.Loop() {
			w.sink = &sink{taken: &c.taken, ended: make(chan struct{})}
			c.gw.ServeHTTP(w, r)
			<-ended
		}
	})
	for _, network := range []string{"tcp", "tls"} {
		b.Run(network, func(b *testing.B) {
			gw := quiet()
			gw.Handle("/", echo())
			srv := serveTCP(b, gw, network == "tls")
			request := []byte("GET / HTTP/1.1\r\nHost: gateway.test\r\n" + upgradeFields + "\r\n")
			answer := make([]byte, 4<<10)
			b.ReportAllocs()
			for b.Loop() {
				conn := mustDial(b, srv)
				mustWrite(b, conn, request)
				mustRead(b, conn, answer, "\r\n\r\n")
				mustWrite(b, conn, masked(0x88, "\x03\xe8"))
				mustRead(b, conn, answer, "\x88\x02\x03\xe8")
				conn.Close()
			}
		})
	}
}

func mustDial(b *testing.B, srv *httptest.Server) net.Conn {
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	if srv.TLS != nil {
		return tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	return conn
}

func mustWrite(b *testing.B, conn net.Conn, p []byte) {
	if _, err := conn.Write(p); err != nil {
		b.Fatal(err)
	}
}

// mustRead reads until what came ends with end.
func mustRead(b *testing.B, conn net.Conn, buf []byte, end string) {
	for n := 0; !bytes.HasSuffix(buf[:n], []byte(end)); {
		m, err := conn.Read(buf[n:])
		if n += m; err != nil {
			b.Fatalf("read: %v after %q", err, buf[:n])
		}
	}
}

// BenchmarkIdle opens a thousand sockets that then say nothing, and reports what
// each of them takes of the process: bytes of heap and of stacks, and goroutines.
// What tcp shows is with the descriptors' part of both ends of the connection.
func BenchmarkIdle(b *testing.B) {
	const sockets = 1000
	b.Run("memory", func(b *testing.B) {
		benchIdle(b, sockets, func(b *testing.B) (done func()) {
			c := newCrowd(b, sockets)
			return func() { c.leave(b) }
		})
	})
	b.Run("tcp", func(b *testing.B) {
		gw := quiet()
		gw.Handle("/", echo())
		srv := serveTCP(b, gw, false)
		request := []byte("GET / HTTP/1.1\r\nHost: gateway.test\r\n" + upgradeFields + browserFields +
			"\r\n")
		answer := make([]byte, 4<<10)
		benchIdle(b, sockets, func(b *testing.B) (done func()) {
			var conns []net.Conn
			for range sockets {
				conn := mustDial(b, srv)
				mustWrite(b, conn, request)
				mustRead(b, conn, answer, "\r\n\r\n")
				conns = append(conns, conn)
			}
			return func() {
				for _, conn := range conns {
					conn.Close()
				}
				for gw.Stats().Open > 0 {
					runtime.Gosched()
				}
			}
		})
	})
}

func benchIdle(b *testing.B, sockets int, open func(b *testing.B) (done func())) {
	var bytes, goroutines float64
	for b.Loop() {
		bytesBefore, goroutinesBefore := footprint()
		done := open(b)
		bytesNow, goroutinesNow := footprint()
		bytes += bytesNow - bytesBefore
		goroutines += goroutinesNow - goroutinesBefore
		done()
	}
	b.ReportMetric(0, "ns/op") // of opening and measuring: means nothing
	b.ReportMetric(bytes/float64(b.N*sockets), "B/socket")
	b.ReportMetric(goroutines/float64(b.N*sockets), "goroutines/socket")
}

// footprint returns what the process holds, at rest: bytes of live heap and of
// stacks, and goroutines.
func footprint() (bytes, goroutines float64) {
	var m runtime.MemStats
	for range 3 { // stacks shrink, and pools empty, by and by
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse), float64(runtime.NumGoroutine())
}

// BenchmarkGroup is one message to a group, by its size, until it is written to
// every member.
func BenchmarkGroup(b *testing.B) {
	ctx := context.Background()
	for _, members := range []int{10, 100, 1_000, 10_000, 100_000} {
		c := newCrowd(b, members)
		g := c.gw.Group("everyone of us")
		for _, id := range c.ids {
			if err := g.Join(ctx, id); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(fmt.Sprintf("memory/members=%d", members), func(b *testing.B) {
			b.ReportAllocs()
			start, sent := c.taken.Load(), int64(0)
			for b.Loop() {
				if n, err := g.Send(ctx, gateway.Text(payload)); err != nil || n != members {
					b.Fatalf("Send = %d, %v, want %d", n, err, members)
				}
				sent++
				c.await(b, &c.taken, start+sent*int64(members)*frameSize)
			}
			perMember(b, members)
		})
		b.Run(fmt.Sprintf("join+leave/members=%d", members), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				id := c.ids[i%members]
				if err := g.Leave(ctx, id); err != nil {
					b.Fatal(err)
				}
				if err := g.Join(ctx, id); err != nil {
					b.Fatal(err)
				}
			}
		})
		c.leave(b)
	}
}

// BenchmarkManyGroups is one message to one of 100,000 groups of 10 members each;
// each of the 100,000 sockets is in 10 of them.
func BenchmarkManyGroups(b *testing.B) {
	const n, members = 100_000, 10
	ctx := context.Background()
	c := newCrowd(b, n)
	before, _ := footprint()
	groups := make([]gateway.Group, n)
	for i := range groups {
		groups[i] = c.gw.Group(fmt.Sprintf("room-%d", i))
		for k := range members {
			if err := groups[i].Join(ctx, c.ids[(i+k)%n]); err != nil {
				b.Fatal(err)
			}
		}
	}
	after, _ := footprint()
	b.Run("memory/send", func(b *testing.B) {
		b.ReportAllocs()
		start, sent := c.taken.Load(), int64(0)
		for i := 0; b.Loop(); i++ {
			if k, err := groups[i*7919%n].Send(ctx, gateway.Text(payload)); err != nil || k != members {
				b.Fatalf("Send = %d, %v, want %d", k, err, members)
			}
			if sent++; sent%100 == 0 {
				c.await(b, &c.taken, start+sent*members*frameSize)
			}
		}
		c.await(b, &c.taken, start+sent*members*frameSize)
		b.ReportMetric((after-before)/(n*members), "B/membership")
		perMember(b, members)
	})
}

// BenchmarkRefused is what a request costs that does not become a socket.
func BenchmarkRefused(b *testing.B) {
	gw := quiet()
	gw.Handle("/{room}", echo())
	for name, edit := range map[string]func(r *http.Request){
		"no_route": func(r *http.Request) { r.URL.Path = "/no/route" },
		"origin":   func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
	} {
		b.Run(name, func(b *testing.B) {
			r := sinkRequest("/0")
			edit(r)
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				if gw.ServeHTTP(w, r); w.Code < 400 {
					b.Fatalf("the answer is %d", w.Code)
				}
			}
		})
	}
}
