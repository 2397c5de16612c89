package main

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
)

const site = "http://chat.example"

// A visitor is a browser without a page.
type visitor struct {
	t      *testing.T
	srv    *gatewaytest.Server
	cookie string
	origin string // of its page, if not the site's
}

// request returns the status and the body of an answer, of a redirect where it leads to, and
// keeps its cookie.
func (b *visitor) request(method, path, form string) (int, string) {
	b.t.Helper()
	r, err := http.NewRequest(method, site+path, strings.NewReader(form))
	if err != nil {
		b.t.Fatal(err)
	}
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", b.from())
	}
	if b.cookie != "" {
		r.Header.Set("Cookie", b.cookie)
	}
	resp, err := b.srv.Client().Transport.RoundTrip(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range resp.Cookies() {
		if b.cookie = c.Name + "=" + c.Value; c.MaxAge < 0 {
			b.cookie = ""
		}
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode {
			b.t.Errorf("the cookie is %v, want one that scripts and other sites do not get", c)
		}
	}
	return resp.StatusCode, string(body) + resp.Header.Get("Location")
}

func (b *visitor) from() string {
	if b.origin != "" {
		return b.origin
	}
	return site
}

func (b *visitor) login(name string) {
	b.t.Helper()
	form := url.Values{"user": {name}, "password": {everybody[name]}}.Encode()
	if status, body := b.request("POST", "/login", form); status != 204 || b.cookie == "" {
		b.t.Fatalf("login of %s = %d %s", name, status, body)
	}
}

func (b *visitor) ticket() string {
	b.t.Helper()
	status, body := b.request("POST", "/ticket", "")
	if status != 200 {
		b.t.Fatalf("POST /ticket = %d %s", status, body)
	}
	return body
}

// dial opens a socket as the page does.
func (b *visitor) dial(room, ticket string) (*gatewaytest.Peer, int) {
	b.t.Helper()
	r, err := http.NewRequest("GET", site+"/rooms/"+room, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Origin", b.from())
	r.Header.Set("Sec-WebSocket-Protocol", "chat.v1")
	if ticket != "" {
		r.Header.Set("Sec-WebSocket-Protocol", "chat.v1, ticket."+ticket)
	}
	r.Header.Set("Cookie", b.cookie)
	p, resp := b.srv.DialRequest(b.t, r)
	return p, resp.StatusCode
}

// Only who knows a password gets tickets, and only a ticket opens a socket, once.
func TestLogin(t *testing.T) {
	run(t, func(t *testing.T, srv *gatewaytest.Server, c *chat) {
		ada := &visitor{t: t, srv: srv}
		for _, form := range []string{"", "user=Ada", "user=Ada&password=of+Alan",
			"user=Nobody&password=", "user=&password="} {
			if status, _ := ada.request("POST", "/login", form); status != 401 || ada.cookie != "" {
				t.Errorf("login with %q = %d, cookie %q; want 401 and none", form, status, ada.cookie)
			}
		}
		if status, _ := ada.request("POST", "/ticket", ""); status != 401 {
			t.Errorf("a ticket without a session = %d, want 401", status)
		}
		ada.login("Ada")
		refused := func(room, ticket string, status int) {
			t.Helper()
			if p, got := ada.dial(room, ticket); p != nil || got != status {
				t.Errorf("an upgrade = %d, want %d", got, status)
			}
		}
		refused("lobby", "", 401) // a cookie alone is no ticket
		refused("lobby", "forged", 401)
		ticket := ada.ticket()
		refused(strings.Repeat("x", maxName+1), ticket, 400)
		evil := &visitor{t: t, srv: srv, cookie: ada.cookie, origin: "http://evil.example"}
		if p, status := evil.dial("lobby", ticket); p != nil || status != 403 {
			t.Errorf("an upgrade by another site = %d, want 403", status)
		}
		if status, _ := evil.request("POST", "/ticket", ""); status != 403 {
			t.Errorf("a ticket for another site = %d, want 403", status)
		}
		p, status := ada.dial("lobby", ticket)
		if p == nil {
			t.Fatalf("an upgrade with a ticket = %d, want 101", status)
		}
		takeHistory(t, p, "lobby", "Ada")
		refused("lobby", ticket, 401)
		late := ada.ticket()
		time.Sleep(time.Minute)
		refused("lobby", late, 401)
	})
}

// Logging out ends the sockets of one browser, and no other.
func TestLogout(t *testing.T) {
	run(t, func(t *testing.T, srv *gatewaytest.Server, c *chat) {
		here, there := &visitor{t: t, srv: srv}, &visitor{t: t, srv: srv}
		here.login("Ada")
		there.login("Ada")
		cookie, unused := here.cookie, here.ticket()
		p, _ := here.dial("lobby", here.ticket())
		other, _ := there.dial("lobby", there.ticket())
		mine, theirs := takeHistory(t, p, "lobby", "Ada"), takeHistory(t, other, "lobby", "Ada")
		theirs.heard(t)
		theirs.sees(t, "Ada") // one person with two sockets
		if status, _ := here.request("POST", "/logout", ""); status != 204 || here.cookie != "" {
			t.Errorf("logout = %d, cookie %q; want 204 and none", status, here.cookie)
		}
		mine.heard(t)
		if code, reason := mine.Closed(); code != 4001 || reason != "logged out" {
			t.Errorf("the socket ended with %d %q, want 4001", code, reason)
		}
		here.cookie = cookie // somebody has kept it
		if status, _ := here.request("POST", "/ticket", ""); status != 401 {
			t.Errorf("a ticket with the old cookie = %d, want 401", status)
		}
		if p, _ := here.dial("lobby", unused); p == nil {
			t.Error("a ticket of before should be redeemed, and its socket closed at once")
		} else if code, _ := p.Closed(); code != 4001 {
			t.Errorf("with a ticket of before the socket ended with %d, want 4001", code)
		}
		theirs.Send(gateway.Text("still here"))
		if got := theirs.heard(t); len(got) != 1 || got[0] != "Ada: still here" {
			t.Errorf("the other browser heard %q", got)
		}
		theirs.sees(t, "Ada")
	})
}

// A socket lives as long as its session. The session outlives the process, and no change.
func TestSession(t *testing.T) {
	run(t, func(t *testing.T, srv *gatewaytest.Server, c *chat) {
		ada := &visitor{t: t, srv: srv}
		ada.login("Ada")
		p, _ := ada.dial("lobby", ada.ticket())
		member := takeHistory(t, p, "lobby", "Ada")
		member.heard(t)

		again, next := newApp(everybody, make([]byte, leastKey))
		there := &visitor{t: t, srv: gatewaytest.NewServer(t, again), cookie: ada.cookie}
		if p, status := there.dial("lobby", there.ticket()); p == nil {
			t.Errorf("after a restart an upgrade = %d, want 101", status)
		}
		other, _ := newApp(everybody, append(make([]byte, leastKey-1), 1))
		stranger := &visitor{t: t, srv: gatewaytest.NewServer(t, other)}
		value := strings.TrimPrefix(ada.cookie, cookieName+"=")
		stranger.login("Alan")
		alans := strings.TrimPrefix(stranger.cookie, cookieName+"=")
		for name, forged := range map[string]string{
			"another server's": value, "nothing": "", "unsigned": strings.Split(value, ".")[0] + ".",
			"another signature": strings.Split(value, ".")[0] + "." + strings.Split(alans, ".")[1],
		} {
			stranger.cookie = cookieName + "=" + forged
			if status, _ := stranger.request("POST", "/ticket", ""); status != 401 {
				t.Errorf("a ticket with a cookie that is %s = %d, want 401", name, status)
			}
		}

		time.Sleep(sessionTime)
		synctest.Wait()
		if code, reason := member.Closed(); code != 1008 || reason != "expired" {
			t.Errorf("at the session's end the socket ended with %d %q, want 1008", code, reason)
		}
		if status, _ := ada.request("POST", "/ticket", ""); status != 401 {
			t.Errorf("a ticket after the session's end = %d, want 401", status)
		}
		if err := next.gw.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Files that cannot be right are refused.
func TestFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write := func(text string) string {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for _, bad := range []string{"", "[]", "{}", `{"": "x"}`, `{"Ada": ""}`,
		`{"` + strings.Repeat("x", maxName+1) + `": "x"}`} {
		if _, err := readUsers(write(bad)); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("users %s: error %v, want one that names the file", bad, err)
		}
	}
	if users, err := readUsers(write(`{"Ada": "x"}`)); err != nil || users["Ada"] != "x" {
		t.Errorf("users = %v, %v", users, err)
	}
	if _, err := readKey(write("short")); err == nil || !strings.Contains(err.Error(), "32") {
		t.Errorf("a short key: error %v, want one that says how long it must be", err)
	}
	if _, err := readKey(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a key that is not there: no error")
	}
	first, _ := readKey("")
	if second, err := readKey(""); err != nil || len(first) < leastKey ||
		string(first) == string(second) {
		t.Errorf("keys of no file: %x, %x, %v; want random ones", first, second, err)
	}
}
