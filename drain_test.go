package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
)

// A drain spreads the sockets evenly over its time, those silent for longest first, and
// returns when the last close event has.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var order []string
		var at []time.Duration
		var start time.Time
		gw := quiet()
		gw.Handle("/{name}", gateway.Callbacks{
			OnData: func(context.Context, *gateway.Socket, gateway.Message) error { return nil },
			OnClose: func(_ context.Context, s *gateway.Socket, c gateway.Closed) {
				mu.Lock()
				order, at = append(order, s.PathValue("name")), append(at, time.Since(start))
				mu.Unlock()
				if c.Cause != gateway.CauseDrain || c.Code != 1012 {
					t.Errorf("a close event has %+v, want drain, 1012", c)
				}
				time.Sleep(50 * time.Millisecond) // Drain waits for it
			},
		})
		srv := serve(t, gw)
		peers := map[string]*gatewaytest.Peer{}
		for _, name := range []string{"a", "b", "c", "d"} {
			peers[name] = srv.Dial(t, "/"+name)
			time.Sleep(time.Second)
		}
		peers["a"].Send(gateway.Text("I am here"))
		synctest.Wait()
		ids, _ := gw.List(t.Context())
		for _, id := range ids {
			wantErr(t, "Send", gw.Send(t.Context(), id, gateway.Text("before")), nil)
		}
		start = time.Now()
		done := make(chan error, 1)
		go func() { done <- gw.Drain(context.Background(), 4*time.Second) }()
		synctest.Wait()

		resp, err := srv.Client().Get("http://gateway.test/a")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		wantRefused(t, srv, "/a", nil, 503, "shutting_down", "Retry-After")
		wantHealth(t, gw, 503)
		wantProgress(t, gw, 4, start.Add(4*time.Second))
		time.Sleep(1500 * time.Millisecond)
		peers["c"].Send(gateway.Text("I have woken up")) // while the drain is on
		time.Sleep(time.Second)
		synctest.Wait()
		wantProgress(t, gw, 2, start.Add(4*time.Second))

		wantErr(t, "Drain", <-done, nil)
		if want := []string{"b", "d", "a", "c"}; !slices.Equal(order, want) {
			t.Errorf("sockets were closed in the order %q, want %q, silent for longest first",
				order, want)
		}
		for i, d := range at {
			if want := time.Duration(i+1) * time.Second; (d - want).Abs() > 20*time.Millisecond {
				t.Errorf("socket %d of 4 was closed after %v, want about %v", i+1, d, want)
			}
		}
		if d := time.Since(start); d < 4050*time.Millisecond {
			t.Errorf("Drain returned after %v, before the last close event had", d)
		}
		for _, p := range peers {
			wantText(t, p, "before")
			wantClosed(t, p, 1012, "drain")
		}
		wantProgress(t, gw, 0, start.Add(4*time.Second))
		wantErr(t, "another Drain", gw.Drain(t.Context(), time.Hour), nil)
		wantErr(t, "Shutdown", gw.Shutdown(t.Context()), nil)
	})
}

func wantHealth(t *testing.T, gw *gateway.Handler, status int) {
	t.Helper()
	w := httptest.NewRecorder()
	gw.ServeHealth(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != status {
		t.Errorf("ServeHealth answers %d, want %d", w.Code, status)
	}
}

func wantProgress(t *testing.T, gw *gateway.Handler, left int, until time.Time) {
	t.Helper()
	st := gw.Stats()
	if !st.Draining || st.DrainLeft != left || st.DrainUntil.Sub(until).Abs() > time.Millisecond {
		t.Errorf("Stats: draining %v, %d left until %v, want true, %d, %v",
			st.Draining, st.DrainLeft, st.DrainUntil, left, until)
	}
}

// What ends a drain early: a second one, Shutdown, its context, and clients that go
// themselves.
func TestDrainEndsEarly(t *testing.T) {
	begin := func(t *testing.T, ctx context.Context, n int) (gw *gateway.Handler,
		peers []*gatewaytest.Peer, done chan error) {
		gw, done = quiet(), make(chan error, 1)
		gw.Handle("/", echo())
		srv := serve(t, gw)
		for range n {
			peers = append(peers, srv.Dial(t, "/"))
		}
		go func() { done <- gw.Drain(ctx, time.Hour) }()
		synctest.Wait()
		return gw, peers, done
	}
	bubble(t, "a second call", func(t *testing.T) {
		gw, _, done := begin(t, context.Background(), 10)
		start := time.Now()
		go gw.Drain(context.Background(), 2*time.Hour) // never longer
		synctest.Wait()
		wantErr(t, "the second Drain", gw.Drain(t.Context(), time.Second), nil)
		wantErr(t, "the first Drain", <-done, nil)
		if d := time.Since(start); d != time.Second {
			t.Errorf("the drain took %v after it was shortened to 1s", d)
		}
	})
	bubble(t, "at once", func(t *testing.T) {
		gw, _, done := begin(t, context.Background(), 10)
		start := time.Now()
		wantErr(t, "the second Drain", gw.Drain(t.Context(), -1), nil)
		wantErr(t, "the first Drain", <-done, nil)
		if d := time.Since(start); d != 0 {
			t.Errorf("the drain took %v, want none", d)
		}
	})
	bubble(t, "Shutdown", func(t *testing.T) {
		gw, peers, done := begin(t, context.Background(), 10)
		start := time.Now()
		wantErr(t, "Shutdown", gw.Shutdown(t.Context()), nil)
		wantErr(t, "Drain", <-done, nil)
		if d := time.Since(start); d > 20*time.Millisecond {
			t.Errorf("Shutdown took %v, want it to end the drain", d)
		}
		wantClosed(t, peers[0], 1001, "drain")
		wantErr(t, "Drain after Shutdown", gw.Drain(t.Context(), time.Hour), nil)
	})
	bubble(t, "its context", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		gw, peers, done := begin(t, ctx, 10)
		err := <-done
		if !errors.Is(err, gateway.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) ||
			!strings.Contains(err.Error(), "10 sockets") {
			t.Errorf("Drain = %v, want type timeout that counts 10 sockets", err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		wantClosed(t, peers[9], 1012, "drain") // it went on
		wantErr(t, "Drain", gw.Drain(t.Context(), 0), nil)
	})
	bubble(t, "nobody is left", func(t *testing.T) {
		_, peers, done := begin(t, context.Background(), 10)
		for _, p := range peers {
			p.Cut()
		}
		synctest.Wait()
		wantErr(t, "Drain", <-done, nil)
	})
	bubble(t, "nobody was there", func(t *testing.T) {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		gw := quiet()
		wantErr(t, "Drain", gw.Drain(ended, time.Hour), nil)
		wantErr(t, "Shutdown", gw.Shutdown(t.Context()), nil)
	})
}

// An endpoint that drains would wait for itself. It is told so, and nothing changes.
func TestDrainFromInside(t *testing.T) {
	for name, ctxOf := range map[string]func(context.Context) context.Context{
		"the event's context": func(ctx context.Context) context.Context { return ctx },
		"another context":     func(context.Context) context.Context { return context.Background() },
	} {
		bubble(t, name, func(t *testing.T) {
			gw, results := quiet(), make(chan error, 1)
			gw.HandleFunc("/", func(ctx context.Context, _ *gateway.Socket, ev gateway.Event) error {
				if ev.Type == gateway.EventData {
					results <- gw.Drain(ctxOf(ctx), time.Minute)
					go gw.Drain(context.Background(), 0) // as the error says
				}
				return nil
			})
			p := serve(t, gw).Dial(t, "/")
			p.Send(gateway.Text("drain"))
			err := <-results
			wantErr(t, "Drain", err, gateway.ErrInvalid)
			if !strings.Contains(err.Error(), "another goroutine") {
				t.Errorf("the error %q does not say what to do", err)
			}
			wantClosed(t, p, 1012, "drain")
		})
	}
}

// A socket whose upgrade is being decided when the drain begins is part of it.
func TestDrainWhileUpgrading(t *testing.T) {
	for name, over := range map[string]time.Duration{"within the time": time.Minute, "after it": 0} {
		bubble(t, name, func(t *testing.T) {
			goOn := make(chan struct{})
			gw := gateway.New(&gateway.Options{Logger: (&logbook{}).logger(),
				Authorize: func(*http.Request) (*gateway.Admission, error) {
					<-goOn
					return nil, nil
				}})
			r := &recorder{}
			gw.Handle("/x", r)
			p := rawConn(t, serve(t, gw))
			p.write([]byte(head()))
			synctest.Wait()
			done := make(chan error)
			go func() { done <- gw.Drain(t.Context(), over) }()
			synctest.Wait()
			select {
			case err := <-done:
				t.Fatalf("Drain = %v while an upgrade is under way, want it to wait", err)
			default:
			}
			close(goOn)
			if resp := p.response(); resp.StatusCode == 101 {
				p.wantClose(1012, "drain")
				p.conn.Close()
			}
			wantErr(t, "Drain", <-done, nil)
			r.expect(t, "open", `close drain 1012 "drain"`)
		})
	}
}

// Ten thousand clients that reconnect at once, through a balancer, to a second server:
// with a drain they come as evenly as they were sent away.
func TestDrainPreventsAStorm(t *testing.T) {
	clients, over := 10_000, 20*time.Second
	if raceEnabled {
		clients = 1_000 // each is fifty times as slow then
	}
	synctest.Test(t, func(t *testing.T) {
		peak := stormPeak(t, clients, func(gw *gateway.Handler) error {
			return gw.Drain(context.Background(), over)
		})
		even := float64(clients) / float64(over/(100*time.Millisecond))
		t.Logf("drained over %v: at most %d reconnects in 100ms, %.0f would be even", over, peak, even)
		if float64(peak) > 1.5*even {
			t.Errorf("%d reconnects in 100ms, want at most %.0f", peak, 1.5*even)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		peak := stormPeak(t, clients, func(gw *gateway.Handler) error {
			return gw.Shutdown(context.Background())
		})
		t.Logf("not drained: at most %d reconnects in 100ms", peak)
		if peak < clients/2 {
			t.Errorf("%d reconnects in 100ms without a drain: not a storm", peak)
		}
	})
}

// stormPeak connects clients to the first of two servers, empties it, and returns how
// many came to the second within 100 ms at most.
func stormPeak(t *testing.T, clients int, empty func(*gateway.Handler) error) int {
	var mu sync.Mutex
	perTime := map[int64]int{}
	server := func(opened func()) *gateway.Handler {
		gw := gateway.New(&gateway.Options{Logger: (&logbook{}).logger(), MaxSocketsPerAddr: -1})
		gw.HandleFunc("/", func(_ context.Context, _ *gateway.Socket, ev gateway.Event) error {
			if ev.Type == gateway.EventOpen {
				opened()
			}
			return nil
		})
		return gw
	}
	first := server(func() {})
	second := server(func() {
		mu.Lock()
		defer mu.Unlock()
		perTime[time.Now().UnixMilli()/100]++
	})
	srv := serveHandler(t, balancer{first, second}, first, second)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() { reconnecting(srv, stop) })
	}
	synctest.Wait()
	if n := first.Stats().Open; n != clients {
		t.Fatalf("%d clients are connected, want %d", n, clients)
	}
	if err := empty(first); err != nil {
		t.Errorf("emptying the first server: %v", err)
	}
	synctest.Wait()
	if n := second.Stats().Open; n != clients {
		t.Errorf("%d clients have come to the second server, want %d", n, clients)
	}
	close(stop)
	wantErr(t, "Shutdown", second.Shutdown(context.Background()), nil)
	wg.Wait()
	most := 0
	for _, n := range perTime {
		most = max(most, n)
	}
	return most
}

// A balancer passes each request to the first of its servers that is ready.
type balancer []*gateway.Handler

func (b balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, gw := range b {
		health := httptest.NewRecorder()
		if gw.ServeHealth(health, r); health.Code == 200 {
			gw.ServeHTTP(w, r)
			return
		}
	}
	http.Error(w, "no server is ready", http.StatusServiceUnavailable)
}

// reconnecting is a client that connects again whenever it is sent away, without any
// delay, until it is told to stop.
func reconnecting(srv *gatewaytest.Server, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		dial := srv.Client().Transport.(*http.Transport).DialContext
		conn, err := dial(context.Background(), "tcp", "")
		if err != nil {
			return
		}
		connectOnce(conn)
		conn.Close()
	}
}

// connectOnce opens a socket and answers its close frame.
func connectOnce(conn net.Conn) {
	conn.Write([]byte("GET / HTTP/1.1\r\nHost: gateway.test\r\n" + upgradeFields + "\r\n"))
	br := bufio.NewReaderSize(conn, 512)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return
	}
	for {
		first, payload, err := readFrame(br)
		if err != nil {
			return
		}
		if first == 0x88 {
			conn.Write(masked(0x88, payload))
			return
		}
	}
}
