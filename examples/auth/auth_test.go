package main

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
)

// A site is the app in memory, and one browser.
type site struct {
	t      *testing.T
	app    *app
	srv    *gatewaytest.Server
	cookie string
}

func newSite(t *testing.T) *site {
	a, handler := newApp(map[string]string{"ann": "secret", "bob": "hidden"})
	t.Cleanup(func() {
		if err := a.gw.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &site{t: t, app: a, srv: gatewaytest.NewServer(t, handler)}
}

// post returns the status and the body of an answer, and keeps its cookie.
func (s *site) post(path, form string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequest("POST", "http://gateway.test"+path, strings.NewReader(form))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Cookie", s.cookie)
	resp, err := s.srv.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range resp.Cookies() {
		s.cookie = c.Name + "=" + c.Value
	}
	return resp.StatusCode, string(body)
}

func (s *site) login(user, password string) {
	s.t.Helper()
	form := url.Values{"user": {user}, "password": {password}}.Encode()
	if status, body := s.post("/login", form); status != 200 {
		s.t.Fatalf("login of %s = %d %s", user, status, body)
	}
}

func (s *site) token() string {
	s.t.Helper()
	status, body := s.post("/token", "")
	if status != 200 {
		s.t.Fatalf("POST /token = %d %s", status, body)
	}
	return body
}

func (s *site) dial(path string, name, value string) (*gatewaytest.Peer, int) {
	s.t.Helper()
	r, err := http.NewRequest("GET", "http://gateway.test"+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set(name, value)
	p, resp := s.srv.DialRequest(s.t, r)
	return p, resp.StatusCode
}

func want(t *testing.T, p *gatewaytest.Peer, text string) {
	t.Helper()
	if got := string(p.Receive().Data); got != text {
		t.Errorf("received %q, want %q", got, text)
	}
}

// A socket lives as long as its session, which its messages keep alive.
func TestSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		if _, status := s.dial("/session", "Cookie", ""); status != 401 {
			t.Errorf("without a session = %d, want 401", status)
		}
		if status, _ := s.post("/login", "user=ann&password=wrong"); status != 401 {
			t.Errorf("login with a wrong password = %d, want 401", status)
		}
		s.login("ann", "secret")
		p, status := s.dial("/session", "Cookie", s.cookie)
		if p == nil {
			t.Fatalf("with a session = %d, want 101", status)
		}
		for range 5 {
			time.Sleep(20 * time.Minute)
			p.Send(gateway.Text("hello"))
			want(t, p, "ann said hello")
		}
		time.Sleep(29*time.Minute + 30*time.Second)
		want(t, p, `{"type":"session_expiring"}`)
		if code, reason := p.Closed(); code != 1008 || reason != "expired" {
			t.Errorf("the socket ended with %d %q, want 1008 expired", code, reason)
		}
		if status, _ := s.post("/token", ""); status != 401 {
			t.Errorf("after the session's end = %d, want 401", status)
		}
	})
}

// A token is renewed on the open socket, but not with somebody else's.
func TestToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		if _, status := s.dial("/token", "Authorization", "Bearer nonsense"); status != 401 {
			t.Errorf("with a bad token = %d, want 401", status)
		}
		s.login("bob", "hidden")
		bobs := s.token()
		s.login("ann", "secret")
		p, status := s.dial("/token", "Authorization", "Bearer "+s.token())
		if p == nil {
			t.Fatalf("with a token = %d, want 101", status)
		}
		p.Send(gateway.Text(`{"text":"hello"}`))
		want(t, p, "member ann said hello")
		p.Send(gateway.Text(`{"token":"` + bobs + `"}`))
		want(t, p, `{"type":"token_refused"}`)

		time.Sleep(4*time.Minute + 2*time.Second)
		want(t, p, `{"type":"token_expiring"}`)
		p.Send(gateway.Text(`{"token":"` + s.token() + `"}`))
		want(t, p, `{"type":"token_renewed"}`)
		time.Sleep(4 * time.Minute)
		synctest.Wait()
		if n := s.app.gw.Stats().Open; n != 1 {
			t.Fatalf("%d sockets after the first token's end, want the renewed one", n)
		}
		time.Sleep(30 * time.Second)
		want(t, p, `{"type":"token_expiring"}`)
		if code, reason := p.Closed(); code != 1008 || reason != "expired" {
			t.Errorf("the socket ended with %d %q, want 1008 expired", code, reason)
		}
	})
}

// Logging out ends sessions, tokens and sockets of the user, and of nobody else.
func TestRevocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.login("bob", "hidden")
		bob, _ := s.dial("/session", "Cookie", s.cookie)
		s.login("ann", "secret")
		token := s.token()
		a, _ := s.dial("/session", "Cookie", s.cookie)
		b, _ := s.dial("/token", "Authorization", "Bearer "+token)
		synctest.Wait()
		if status, body := s.post("/logout", ""); status != 200 || body != "2 sockets closed\n" {
			t.Errorf("logout = %d %q, want 2 sockets closed", status, body)
		}
		for _, p := range []*gatewaytest.Peer{a, b} {
			if code, reason := p.Closed(); code != codeLoggedOut || reason != "logged out" {
				t.Errorf("ended with %d %q, want %d", code, reason, codeLoggedOut)
			}
		}
		if _, status := s.dial("/session", "Cookie", s.cookie); status != 401 {
			t.Errorf("with the old session = %d, want 401", status)
		}
		if _, status := s.dial("/token", "Authorization", "Bearer "+token); status != 401 {
			t.Errorf("with the old token = %d, want 401", status)
		}
		bob.Send(gateway.Text("still here"))
		want(t, bob, "bob said still here")
	})
}
