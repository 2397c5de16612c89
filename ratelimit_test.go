package gateway_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
)

// The bucket: a burst at once, then one message each 1/rate seconds.
func TestLimiter(t *testing.T) {
	const s = time.Second
	for name, c := range map[string]struct {
		rate  float64
		burst int
		at    []time.Duration
		ok    string // of each message: y if it passes
	}{
		"burst":              {5, 5, []time.Duration{0, 0, 0, 0, 0, 0}, "yyyyyn"},
		"steady":             {5, 1, []time.Duration{0, s / 5, 2 * s / 5, 3 * s / 5}, "yyyy"},
		"a little too fast":  {5, 1, []time.Duration{0, s / 6, s / 5}, "yny"},
		"refills in between": {5, 5, []time.Duration{0, 0, 0, 0, 0, s / 5, s / 5}, "yyyyyyn"},
		"never above burst":  {5, 2, []time.Duration{0, 1000 * s, 1000 * s, 1000 * s}, "yyyn"},
		"slow rate":          {0.5, 1, []time.Duration{0, s, 2 * s}, "yny"},
		"time goes back":     {5, 2, []time.Duration{s, 0, 0, s}, "yynn"},
	} {
		var l gateway.Limiter
		got := ""
		for _, at := range c.at {
			if l.Take(at, c.rate, c.burst) == 0 {
				got += "y"
			} else {
				got += "n"
			}
		}
		if got != c.ok {
			t.Errorf("%s: messages at %v pass %s, want %s", name, c.at, got, c.ok)
		}
	}
}

// For any arrival times: never more than burst + rate*time in any window, and
// the wait that take names is enough and not too long.
func TestLimiterProperties(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		var l gateway.Limiter
		rate, burst := 0.1+rnd.Float64()*100, 1+rnd.IntN(20)
		var passed []time.Duration
		now := time.Duration(rnd.Int64N(int64(time.Hour)))
		for range 200 {
			now += time.Duration(rnd.ExpFloat64() / rate * 0.7 * float64(time.Second))
			wait := l.Take(now, rate, burst)
			if wait > 0 {
				if limit := time.Duration(float64(time.Second)/rate) + time.Microsecond; wait > limit {
					t.Fatalf("rate %v, burst %d: the wait is %v, want at most %v", rate, burst, wait, limit)
				}
				now += wait
				if again := l.Take(now, rate, burst); again > time.Microsecond {
					t.Fatalf("rate %v, burst %d: after the wait of %v another %v is to be waited", rate, burst,
						wait, again)
				}
			}
			passed = append(passed, now)
		}
		for i := range passed {
			for j := i; j < len(passed); j += 7 {
				if most := float64(burst) + rate*(passed[j]-passed[i]).Seconds() + 0.01; float64(j-i+1) > most {
					t.Fatalf("rate %v, burst %d: %d messages passed within %v, want at most %.2f", rate, burst,
						j-i+1, passed[j]-passed[i], most)
				}
			}
		}
	}
}

// The policies: five at once and five a second is the default.
func TestRatePolicies(t *testing.T) {
	const n = 12
	flood := func(p *rawPeer) {
		var all []byte
		for i := range n {
			all = append(all, masked(0x81, fmt.Sprint(i))...)
		}
		p.write(all)
	}
	for name, c := range map[string]struct {
		limits  gateway.Limits
		at      string // when the messages reach the endpoint, in tenths of a second
		delayed uint64
		dropped uint64
	}{
		"default": {gateway.Limits{}, "0 0 0 0 0 2 4 6 8 10 12 14", 7, 0},
		"delay": {gateway.Limits{MessagesPerSecond: 2, Burst: 1,
			OnRateExceeded: gateway.RateDelay}, "0 5 10 15 20 25 30 35 40 45 50 55", 11, 0},
		"drop": {gateway.Limits{OnRateExceeded: gateway.RateDrop}, "0 0 0 0 0", 0,
			7},
		"off": {gateway.Limits{MessagesPerSecond: -1}, "0 0 0 0 0 0 0 0 0 0 0 0",
			0, 0},
		"burst of a rate": {gateway.Limits{MessagesPerSecond: 10}, "0 0 0 0 0 0 0 0 0 0 1 2",
			2, 0},
		"burst of a slow rate": {gateway.Limits{MessagesPerSecond: 1},
			"0 0 0 0 0 10 20 30 40 50 60 70", 7, 0},
		"burst above the rate": {gateway.Limits{Burst: 12}, "0 0 0 0 0 0 0 0 0 0 0 0", 0, 0},
		"fraction of one per second": {gateway.Limits{MessagesPerSecond: 0.5, Burst: 11},
			"0 0 0 0 0 0 0 0 0 0 0 20", 1, 0},
	} {
		bubble(t, name, func(t *testing.T) {
			logs := &logbook{}
			gw := gateway.New(&gateway.Options{Logger: logs.logger(), Limits: c.limits})
			start := time.Now()
			var at, text []string
			gw.Handle("/",
				gateway.Callbacks{OnData: func(_ context.Context, _ *gateway.Socket, m gateway.Message) error {
					at = append(at, fmt.Sprint(time.Since(start).Milliseconds()/100))
					text = append(text, string(m.Data))
					return nil
				}})
			p := rawDial(t, serve(t, gw), "/")
			flood(p)
			time.Sleep(time.Minute / 5)
			synctest.Wait()
			if got := strings.Join(at, " "); got != c.at {
				t.Errorf("the messages reached the endpoint at %s tenths of a second, want %s", got, c.at)
			}
			for i, s := range text {
				if s != fmt.Sprint(i) {
					t.Errorf("messages %q, want them in order", text)
					break
				}
			}
			if st := gw.Stats(); st.RateDelayed != c.delayed || st.RateDropped != c.dropped ||
				st.MessagesIn != uint64(len(text)) {
				t.Errorf("Stats: %d delayed, %d dropped, %d in, want %d, %d, %d", st.RateDelayed,
					st.RateDropped, st.MessagesIn, c.delayed, c.dropped, len(text))
			}
			// In each second at most one line, and one at least if anything was done.
			lines := strings.Count(logs.String(), "above the rate")
			if (c.delayed+c.dropped > 0) != (lines > 0) || lines > 8 {
				t.Errorf("%d log lines for %d delayed and %d dropped messages, want some and not one per "+
					"message", lines, c.delayed, c.dropped)
			}
			p.conn.Close()
		})
	}
	bubble(t, "close", func(t *testing.T) {
		gw, r := gateway.New(&gateway.Options{Limits: gateway.Limits{OnRateExceeded: gateway.RateClose},
			Logger: (&logbook{}).logger()}), &recorder{}
		gw.Handle("/", r)
		p := rawDial(t, serve(t, gw), "/")
		flood(p)
		p.wantClose(1008, "rate_limited")
		p.conn.Close()
		r.expect(t, "open", `data-text "0"`, `data-text "1"`, `data-text "2"`, `data-text "3"`,
			`data-text "4"`, `close rate_limited 1008 "rate_limited"`)
	})
}

// While a message is delayed nothing is read, replies leave, pings are not held
// against the peer, and a close ends the wait.
func TestRateDelayPushesBack(t *testing.T) {
	bubble(t, "back-pressure", func(t *testing.T) {
		gw, r := gateway.New(&gateway.Options{Logger: (&logbook{}).logger(),
			Limits: gateway.Limits{MessagesPerSecond: 0.001, Burst: 1}}), &recorder{}
		gw.Handle("/", r)
		p := rawDial(t, serve(t, gw), "/")
		wrote := make(chan error)
		go func() {
			_, err := p.conn.Write([]byte(strings.Repeat(string(masked(0x82, strings.Repeat("x", 1000))),
				200)))
			wrote <- err
		}()
		select {
		case err := <-wrote:
			t.Errorf("200 kB could be written (%v) although nothing is read", err)
		case <-time.After(10 * time.Minute): // longer than every timeout
		}
		if n := r.count(); n != 2 {
			t.Errorf("%d events, want open and the first message", n)
		}
		p.conn.Close()
		<-wrote
	})
	bubble(t, "replies leave before the wait", func(t *testing.T) {
		gw := gateway.New(&gateway.Options{Logger: (&logbook{}).logger(),
			Limits: gateway.Limits{MessagesPerSecond: 0.001, Burst: 2}})
		gw.Handle("/", echo())
		p := rawDial(t, serve(t, gw), "/")
		p.write([]byte(string(masked(0x81, "a")) + string(masked(0x81, "b")) + string(masked(0x81, "c"))))
		start := time.Now()
		p.read()
		if _, payload := p.read(); payload != "b" || time.Since(start) > 10*time.Millisecond {
			t.Errorf("the second echo is %q after %v, want b at once", payload, time.Since(start))
		}
	})
	bubble(t, "close", func(t *testing.T) {
		gw, r := gateway.New(&gateway.Options{Logger: (&logbook{}).logger(),
			Limits: gateway.Limits{MessagesPerSecond: 0.001, Burst: 1}}), &recorder{}
		gw.Handle("/", r)
		p := rawDial(t, serve(t, gw), "/")
		p.write([]byte(string(masked(0x81, "a")) + string(masked(0x81, "b")) +
			string(masked(0x88, "\x03\xe8"))))
		synctest.Wait()
		wantErr(t, "Close", r.socket().Close(), nil)
		p.wantClose(1000, "operation")
		p.conn.Close()
		r.expect(t, "open", `data-text "a"`, `close operation 1000 "operation"`)
	})
}

// A route has its own rate; pings and pongs are free; each socket has its own.
func TestRateScope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, r := gateway.New(&gateway.Options{Logger: (&logbook{}).logger(),
			Limits: gateway.Limits{OnRateExceeded: gateway.RateDrop}}), &recorder{}
		gw.Handle("/", r)
		gw.HandleRoute(gateway.Route{Pattern: "/fast", Endpoint: echo(),
			Limits: gateway.Limits{MessagesPerSecond: -1}})
		srv := serve(t, gw)
		fast := srv.Dial(t, "/fast")
		for i := range 50 {
			fast.Send(gateway.Text(fmt.Sprint(i)))
			wantText(t, fast, fmt.Sprint(i))
		}
		a, b := rawDial(t, srv, "/"), rawDial(t, srv, "/")
		for range 20 {
			a.write(masked(0x89, "ping"))
			a.write(masked(0x8a, "pong"))
		}
		for range 5 {
			a.write(masked(0x81, "x"))
			b.write(masked(0x01, "y")) // fragments count once
			b.write(masked(0x80, "z"))
		}
		synctest.Wait()
		if st := gw.Stats(); st.RateDropped != 0 || st.MessagesIn != 60 {
			t.Errorf("Stats: %d dropped, %d in, want none dropped of 60", st.RateDropped, st.MessagesIn)
		}
	})
}

// The time in the endpoint refills the bucket: a slow one does not make messages wait
// twice, and a slower rate than the endpoint is kept.
func TestRateDelayOfASlowEndpoint(t *testing.T) {
	for name, c := range map[string]struct {
		limits   gateway.Limits
		endpoint time.Duration
		messages int
		took     time.Duration
	}{
		"as slow as the rate": {gateway.Limits{}, 200 * time.Millisecond, 11, 2200 * time.Millisecond},
		"twice as fast": {gateway.Limits{Burst: 1}, 100 * time.Millisecond, 11,
			2100 * time.Millisecond},
		"slower": {gateway.Limits{Burst: 1}, 300 * time.Millisecond, 11,
			3300 * time.Millisecond},
		"a rate of one, slower": {gateway.Limits{MessagesPerSecond: 1, Burst: 1}, 2 * time.Second, 5,
			10 * time.Second},
	} {
		bubble(t, name, func(t *testing.T) {
			gw := gateway.New(&gateway.Options{Logger: (&logbook{}).logger(), Limits: c.limits})
			start, n := time.Now(), 0
			done := make(chan time.Duration, 1)
			gw.Handle("/",
				gateway.Callbacks{OnData: func(context.Context, *gateway.Socket, gateway.Message) error {
					time.Sleep(c.endpoint)
					if n++; n == c.messages {
						done <- time.Since(start)
					}
					return nil
				}})
			p := rawDial(t, serve(t, gw), "/")
			p.write([]byte(strings.Repeat(string(masked(0x81, "x")), c.messages)))
			if took := <-done; took < c.took || took > c.took+time.Microsecond {
				t.Errorf("%d messages took %v, want %v", c.messages, took, c.took)
			}
		})
	}
}

// The slowest rates that a number can say are rates, and no overflow.
func TestVerySlowRates(t *testing.T) {
	for _, rate := range []float64{1e-9, 1e-10, 1e-11, 1e-18, 1e-300, 5e-324} {
		bubble(t, fmt.Sprint(rate), func(t *testing.T) {
			gw := gateway.New(&gateway.Options{
				Logger: (&logbook{}).logger(),
				Limits: gateway.Limits{MessagesPerSecond: rate, Burst: 2},
			})
			r := &recorder{}
			gw.Handle("/", r)
			p := rawDial(t, serve(t, gw), "/")
			p.write([]byte(strings.Repeat(string(masked(0x81, "x")), 10)))
			time.Sleep(time.Hour) // the next would be due after years
			r.expect(t, "open", `data-text "x"`, `data-text "x"`)
			p.conn.Close()
			gw.CloseAll(context.Background())
		})
	}
}
