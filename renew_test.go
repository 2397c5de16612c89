package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
)

// admitted serves a route whose sockets are admitted as user 7 for ten minutes, connects
// one and returns it.
func admitted(
	t *testing.T, rt gateway.Route,
) (*gateway.Handler, *recorder, *gateway.Socket, *gatewaytest.Peer) {
	t.Helper()
	gw, r := quiet(), &recorder{}
	rt.Pattern, rt.Endpoint = "/", r
	rt.Authorize = func(*http.Request) (*gateway.Admission, error) {
		return &gateway.Admission{
			Values:  map[string]string{"user": "7", "role": "guest"},
			Expires: time.Now().Add(10 * time.Minute),
		}, nil
	}
	gw.HandleRoute(rt)
	p := serve(t, gw).Dial(t, "/")
	synctest.Wait()
	return gw, r, r.socket(), p
}

// A socket lives as long as it is renewed, and no longer.
func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, r, s, p := admitted(t, gateway.Route{})
		time.Sleep(9 * time.Minute)
		wantErr(t, "Renew", s.Renew(time.Now().Add(10*time.Minute)), nil)
		time.Sleep(9 * time.Minute)
		wantErr(t, "Handler.Renew", gw.Renew(t.Context(), s.ID(), time.Now().Add(time.Minute)), nil)
		time.Sleep(50 * time.Second)
		r.expect(t, "open")
		wantErr(t, "Renew for ever", s.Renew(time.Time{}), nil)
		time.Sleep(2 * time.Hour)
		r.expect(t, "open")
		wantErr(t, "Renew in the past", s.Renew(time.Now()), gateway.ErrInvalid)
		wantErr(t, "Renew of nobody", gw.Renew(t.Context(), "nobody", time.Time{}), gateway.ErrNotFound)
		wantErr(t, "Renew of no id", gw.Renew(t.Context(), "", time.Time{}), gateway.ErrInvalid)
		wantErr(t, "Renew", s.Renew(time.Now().Add(time.Second)), nil)
		wantClosed(t, p, 1008, "expired")
		wantErr(t, "Renew of a closed socket", s.Renew(time.Time{}), gateway.ErrClosed)
		r.expect(t, "open", `close expired 1008 "expired"`)
	})
}

// A socket without an admission can be given an end.
func TestRenewWithoutAdmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := open(t, quiet(), &recorder{})
		values := map[string]string{"a": "1"}
		wantErr(t, "RenewWith", s.RenewWith(time.Now().Add(time.Minute), values), nil)
		time.Sleep(30 * time.Second)
		if s.Value("a") != "1" || s.Info().Values["a"] != "1" {
			t.Errorf("the value is %q, want 1", s.Value("a"))
		}
		wantClosed(t, p, 1008, "expired")
	})
}

// Values can change with a renewal, but for those that are fixed.
func TestRenewWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, r, s, _ := admitted(t, gateway.Route{FixedValues: []string{"user", "tenant"}})
		later := time.Now().Add(time.Hour)
		for _, bad := range []map[string]string{
			{"role": "admin", "user": "8"}, {"user": ""}, {"tenant": "x"},
		} {
			wantErr(t, "RenewWith", s.RenewWith(later, bad), gateway.ErrForbidden)
		}
		if s.Value("user") != "7" || s.Value("role") != "guest" {
			t.Errorf("a refused renewal has made the socket %v", s.Info().Values)
		}
		values := map[string]string{"user": "7", "role": "admin"}
		wantErr(t, "RenewWith", s.RenewWith(later, values), nil)
		if s.Value("user") != "7" || s.Value("role") != "admin" || s.Info().Values["role"] != "admin" {
			t.Errorf("a renewal has made the socket %v", s.Info().Values)
		}
		for m := range gw.All().Members(t.Context()) {
			if m.Values["role"] != "admin" {
				t.Errorf("the member's values are %v", m.Values)
			}
		}
		time.Sleep(59 * time.Minute)
		r.expect(t, "open")
	})
}

// The endpoint is told once before each end, in time to renew.
func TestOnExpiring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []time.Duration
		renew := true
		start := time.Now()
		_, r, _, p := admitted(t, gateway.Route{
			ExpiringBefore: 2 * time.Minute,
			OnExpiring: func(ctx context.Context, s *gateway.Socket, expires time.Time) error {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, time.Since(start).Round(2*time.Second))
				if err := s.Send(ctx, gateway.Text("expiring")); err != nil {
					return err
				}
				if renew {
					renew = false
					return s.Renew(expires.Add(10 * time.Minute))
				}
				return nil
			},
		})
		time.Sleep(19*time.Minute + 30*time.Second)
		wantText(t, p, "expiring")
		wantText(t, p, "expiring")
		wantClosed(t, p, 1008, "expired")
		mu.Lock()
		defer mu.Unlock()
		if len(told) != 2 || told[0] != 8*time.Minute || told[1] != 18*time.Minute {
			t.Errorf("the endpoint was told after %v, want 8m and 18m", told)
		}
		if d := time.Since(start); d < 20*time.Minute || d > 20*time.Minute+2*time.Second {
			t.Errorf("the socket ended after %v, want 20m", d)
		}
		r.expect(t, "open", `close expired 1008 "expired"`)
	})
}

// A short time before the end is kept as well as a long one.
func TestOnExpiringShortly(t *testing.T) {
	for _, before := range []time.Duration{
		200 * time.Millisecond, 900 * time.Millisecond, 3 * time.Second,
	} {
		bubble(t, before.String(), func(t *testing.T) {
			left := make(chan time.Duration, 1)
			_, _, _, p := admitted(t, gateway.Route{
				ExpiringBefore: before,
				OnExpiring: func(_ context.Context, _ *gateway.Socket, expires time.Time) error {
					left <- time.Until(expires)
					return nil
				},
			})
			time.Sleep(10 * time.Minute)
			wantClosed(t, p, 1008, "expired")
			select {
			case d := <-left:
				if late := before - d; late < 0 || late > before/10 {
					t.Errorf("told %v before the end, want %v", d, before)
				}
			default:
				t.Error("not told")
			}
		})
	}
}

// What the hook returns decides over the socket, as what an event returns.
func TestOnExpiringVerdict(t *testing.T) {
	for name, c := range map[string]struct {
		hook func() error
		code int
	}{
		"an error": {func() error { return errors.New("broken") }, 1011},
		"a CloseError": {func() error {
			return &gateway.CloseError{Code: 4001, Reason: "endpoint"}
		}, 4001},
		"a panic":        {func() error { panic("broken") }, 1011},
		"it is too soon": {nil, 1008},
	} {
		bubble(t, name, func(t *testing.T) {
			rt := gateway.Route{ExpiringBefore: time.Hour} // longer than the admission
			if c.hook != nil {
				rt.OnExpiring = func(context.Context, *gateway.Socket, time.Time) error {
					return c.hook()
				}
			}
			_, _, _, p := admitted(t, rt)
			time.Sleep(10 * time.Minute)
			if code, _ := p.Closed(); code != c.code {
				t.Errorf("the socket ended with %d, want %d", code, c.code)
			}
		})
	}
}

// A renewal that returns nil comes before the end, whoever is faster.
func TestRenewAgainstExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := quiet()
		r := &recorder{}
		gw.HandleRoute(gateway.Route{Pattern: "/", Endpoint: r,
			Authorize: func(*http.Request) (*gateway.Admission, error) {
				return &gateway.Admission{Expires: time.Now().Add(time.Second)}, nil
			}})
		srv := serve(t, gw)
		for range 20 {
			srv.Dial(t, "/")
		}
		synctest.Wait()
		r.mu.Lock()
		sockets := r.sockets
		r.mu.Unlock()
		renewed := 0
		var mu sync.Mutex
		var wg sync.WaitGroup
		for _, s := range sockets {
			wg.Go(func() {
				time.Sleep(time.Second)
				if s.Renew(time.Now().Add(time.Hour)) == nil {
					mu.Lock()
					renewed++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Minute)
		if n := gw.Stats().Open; n != renewed {
			t.Errorf("%d sockets are open, and %d were renewed", n, renewed)
		}
	})
}
