package ticket_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
	"github.com/wsgateway/gateway/ticket"
)

const origin = "http://gateway.test"

// A site is a gateway whose sockets need tickets, and everything it tells.
type site struct {
	tickets *ticket.Tickets
	gw      *gateway.Handler
	srv     *gatewaytest.Server

	mu   sync.Mutex
	told strings.Builder // logs, infos, what the observer saw
}

func (s *site) tell(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(&s.told, format+"\n", args...)
}

func (s *site) Write(p []byte) (int, error) {
	s.tell("%s", p)
	return len(p), nil
}

func newSite(t *testing.T, opts *ticket.Options) *site {
	s := &site{tickets: ticket.New(opts)}
	s.gw = gateway.New(&gateway.Options{
		Authorize: s.tickets.Authorize,
		Logger:    slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Observer: gateway.Observer{
			SocketOpened:   func(o gateway.SocketOpened) { s.tell("%+v", o) },
			UpgradeRefused: func(u gateway.UpgradeRefused) { s.tell("%+v", u) },
		},
	})
	whoami := func(ctx context.Context, sock *gateway.Socket, ev gateway.Event) error {
		if ev.Type != gateway.EventOpen {
			return nil
		}
		info := sock.Info()
		full, err := info.JSONWithCredentials()
		if err != nil {
			return err
		}
		s.tell("%s %+v %+v", full, info, s.gw.Stats())
		return sock.Send(ctx, gateway.Text(sock.Value("user")+" "+sock.Value("plan")+" "+info.URI))
	}
	for _, pattern := range []string{"/chat", "/rooms/{id}"} {
		s.gw.HandleRoute(gateway.Route{
			Pattern: pattern, Endpoint: gateway.EndpointFunc(whoami),
			Subprotocols: []string{"chat.v1"},
		})
	}
	t.Cleanup(func() {
		if err := s.gw.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	s.srv = gatewaytest.NewServer(t, s.tickets.Wrap(s.gw))
	return s
}

func (s *site) issue(t *testing.T, c ticket.Claims) string {
	t.Helper()
	got, err := s.tickets.Issue(c)
	if err != nil {
		t.Fatalf("Issue(%+v) = %v", c, err)
	}
	return got
}

func (s *site) dial(
	t *testing.T, target string, header ...string,
) (*gatewaytest.Peer, *http.Response) {
	t.Helper()
	r, err := http.NewRequest("GET", origin+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return s.srv.DialRequest(t, r)
}

func (s *site) wantOpen(t *testing.T, want, target string, header ...string) {
	t.Helper()
	p, resp := s.dial(t, target, header...)
	if p == nil {
		t.Fatalf("upgrade of %.40s = %s, want 101", target, resp.Status)
	}
	if m := p.Receive(); string(m.Data) != want {
		t.Errorf("the socket is %q, want %q", m.Data, want)
	}
	p.Close(1000, "")
}

func (s *site) wantRefused(t *testing.T, status int, typ, target string, header ...string) {
	t.Helper()
	p, resp := s.dial(t, target, header...)
	if p != nil {
		t.Errorf("upgrade of %.40s with %.60q was accepted, want %d", target, header, status)
		return
	}
	var e gateway.Error
	err := json.NewDecoder(resp.Body).Decode(&e)
	if err != nil || resp.StatusCode != status || e.Type != typ || e.Status != status ||
		e.Message == "" {
		t.Errorf("upgrade = %s with %+v (%v), want %d with type %s", resp.Status, e, err, status, typ)
	}
}

var chat = ticket.Claims{
	User: "ann", Route: "/chat", Origin: origin, Values: map[string]string{"plan": "free"},
}

// A socket lives as long as its ticket says, which may be long after the ticket itself.
func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil)
		c := chat
		c.Until = time.Now().Add(time.Hour)
		p, _ := s.dial(t, "/chat?ticket="+s.issue(t, c), "Origin", origin)
		p.Receive()
		forever, _ := s.dial(t, "/chat?ticket="+s.issue(t, chat), "Origin", origin)
		forever.Receive()
		time.Sleep(time.Hour - time.Second)
		synctest.Wait()
		if n := s.gw.Stats().Open; n != 2 {
			t.Errorf("%d sockets are open before the end, want 2", n)
		}
		time.Sleep(2 * time.Second)
		if code, reason := p.Closed(); code != 1008 || reason != "expired" {
			t.Errorf("the socket ended with %d %q, want 1008 expired", code, reason)
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := s.gw.Stats().Open; n != 1 {
			t.Errorf("%d sockets are open a day later, want the one without an end", n)
		}
	})
}

// A ticket opens one socket, of its user, and is shown nowhere.
func TestTicket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil)
		inQuery := s.issue(t, chat)
		target := "/chat?a=1%2F2&ticket=" + inQuery + "&b"
		s.wantOpen(t, "ann free ws://gateway.test/chat?a=1%2F2&b", target, "Origin", origin)
		s.wantRefused(t, 401, "unauthorized", target, "Origin", origin)

		offered := s.issue(t, chat)
		header := []string{"Origin", origin, "Sec-WebSocket-Protocol", "chat.v1",
			"Sec-WebSocket-Protocol", "ticket." + offered}
		s.wantOpen(t, "ann free ws://gateway.test/chat", "/chat", header...)
		s.wantRefused(t, 401, "unauthorized", "/chat", header...)
		synctest.Wait()
		for _, secret := range []string{inQuery, offered} {
			if body, _, _ := strings.Cut(secret, "."); strings.Contains(s.told.String(), body) {
				t.Errorf("the ticket is in what the gateway tells:\n%s", s.told.String())
			}
		}
		if told := s.told.String(); !strings.Contains(told, "socket opened") ||
			!strings.Contains(told, "MessagesIn") {
			t.Errorf("nothing was told, so the check above is none:\n%s", s.told.String())
		}
	})
}

// Everything that is not a ticket of this place and time is refused, and does not use up
// the ticket.
func TestRefusedTickets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil)
		good := s.issue(t, chat)
		body, signature, _ := strings.Cut(good, ".")
		foreign, err := ticket.New(nil).Issue(chat)
		if err != nil {
			t.Fatal(err)
		}
		other := s.issue(t, ticket.Claims{User: "bob", Route: "/chat", Origin: origin})
		otherBody, _, _ := strings.Cut(other, ".")
		for name, bad := range map[string]string{
			"none":                    "",
			"of another server":       foreign,
			"without a signature":     body,
			"with an empty signature": body + ".",
			"with another's":          otherBody + "." + signature,
			"with its end changed":    good[:len(good)-2] + "__",
			"not base64":              "?" + good,
			"too long":                strings.Repeat("x", 5000) + "." + signature,
			"none at all":             ".",
		} {
			t.Log(name)
			s.wantRefused(t, 401, "unauthorized", "/chat?ticket="+bad, "Origin", origin)
			s.wantRefused(t, 401, "unauthorized", "/chat", "Origin", origin,
				"Sec-WebSocket-Protocol", "chat.v1, ticket."+strings.ReplaceAll(bad, "?", "x"))
		}
		s.wantRefused(t, 401, "unauthorized", "/chat", "Origin", origin)
		s.wantRefused(t, 401, "unauthorized", "/chat?ticket="+good+"&ticket="+good, "Origin", origin)
		for _, more := range []string{"%0A", "%0D", "%3D", "A", "."} {
			s.wantRefused(t, 401, "unauthorized", "/chat?ticket="+good+more, "Origin", origin)
		}
		s.wantRefused(t, 403, "forbidden", "/rooms/1?ticket="+good, "Origin", origin)
		s.wantRefused(t, 403, "forbidden", "/chat?ticket="+good)
		s.wantRefused(t, 403, "forbidden", "/chat?ticket="+good, "Origin", "http://gateway.test:80")
		s.wantOpen(t, "ann free ws://gateway.test/chat", "/chat?%74icket="+good, "Origin", origin)

		old := s.issue(t, chat)
		time.Sleep(30 * time.Second)
		s.wantRefused(t, 401, "unauthorized", "/chat?ticket="+old, "Origin", origin)
	})
}

// A ticket without an origin is for programs, which send none.
func TestTicketOfAProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil)
		c := ticket.Claims{User: "probe", Route: "/rooms/{id}"}
		s.wantRefused(t, 403, "forbidden", "/rooms/7?ticket="+s.issue(t, c), "Origin", origin)
		s.wantOpen(t, "probe  ws://gateway.test/rooms/7", "/rooms/7?ticket="+s.issue(t, c))
	})
}

// Of many upgrades with the same ticket at once, one is accepted; and it is never good
// again, however long it lives.
func TestRedeemedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tickets := ticket.New(&ticket.Options{TTL: time.Hour})
		one, err := tickets.Issue(chat)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var wg sync.WaitGroup
		n := 0
		for range 100 {
			wg.Go(func() {
				if _, err := tickets.Redeem(t.Context(), one, "/chat", origin); err == nil {
					mu.Lock()
					defer mu.Unlock()
					n++
				}
			})
		}
		wg.Wait()
		if n != 1 {
			t.Errorf("the ticket was redeemed %d times", n)
		}
		for range 7 { // more than two generations of what is remembered
			time.Sleep(10 * time.Minute)
			if another, err := tickets.Issue(chat); err != nil {
				t.Fatal(err)
			} else if _, err := tickets.Redeem(t.Context(), another, "/chat", origin); err != nil {
				t.Errorf("another ticket: %v", err)
			}
			wantRedeem(t, tickets, one, gateway.ErrUnauthorized)
		}
	})
}

// Two servers with the same keys and store take each other's tickets, once in all; keys can
// be exchanged.
func TestManyServers(t *testing.T) {
	oldKey, newKey := make([]byte, 32), []byte(strings.Repeat("k", 32))
	shared := &sharedStore{seen: map[string]bool{}}
	a := ticket.New(&ticket.Options{Keys: [][]byte{oldKey}, Store: shared})
	b := ticket.New(&ticket.Options{Keys: [][]byte{newKey, oldKey}, Store: shared})
	one, err := a.Issue(chat)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Redeem(t.Context(), one, "/chat", origin); err != nil {
		t.Errorf("a ticket of the old key: %v", err)
	}
	wantRedeem(t, a, one, gateway.ErrUnauthorized) // it was, on the other server
	two, err := b.Issue(chat)
	if err != nil {
		t.Fatal(err)
	}
	wantRedeem(t, a, two, gateway.ErrUnauthorized) // its key is not known yet
	shared.err = errors.New("redis is away")
	wantRedeem(t, b, two, gateway.ErrInternal)
}

func wantRedeem(t *testing.T, tickets *ticket.Tickets, one string, want *gateway.Error) {
	t.Helper()
	if _, err := tickets.Redeem(t.Context(), one, "/chat", origin); !errors.Is(err, want) {
		t.Errorf("Redeem = %v, want type %s", err, want.Type)
	}
}

type sharedStore struct {
	mu   sync.Mutex
	seen map[string]bool
	err  error
}

func (s *sharedStore) Redeem(_ context.Context, id string, until time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := !s.seen[id]
	s.seen[id] = true
	return first && time.Until(until) > 0, s.err
}

// A gateway that is not inside Wrap would show tickets, so it takes none.
func TestWithoutWrap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil)
		s.srv = gatewaytest.NewServer(t, s.gw)
		s.wantRefused(t, 500, "internal", "/chat?ticket="+s.issue(t, chat), "Origin", origin)
		if !strings.Contains(s.told.String(), "not inside Tickets.Wrap") {
			t.Errorf("the log does not say why:\n%s", s.told.String())
		}
	})
}

func TestMistakes(t *testing.T) {
	tickets := ticket.New(nil)
	for _, c := range []ticket.Claims{
		{Route: "/chat"}, {User: "ann"}, {User: strings.Repeat("x", 5000), Route: "/chat"},
	} {
		if _, err := tickets.Issue(c); !errors.Is(err, gateway.ErrInvalid) {
			t.Errorf("Issue(%.60v) = %v, want invalid_request", c, err)
		}
	}
	for name, o := range map[string]ticket.Options{
		"a short key":     {Keys: [][]byte{make([]byte, 31)}},
		"a negative time": {TTL: -1},
		"a long time":     {TTL: 2 * time.Hour},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("New with %s does not panic", name)
				}
			}()
			ticket.New(&o)
		}()
	}
}
