package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

var everybody = map[string]string{
	"Ada": "of Ada", "Alan": "of Alan", "Grace": "of Grace", longest: "of the longest",
}

var longest = strings.Repeat("<", maxName) // 6 bytes each in JSON

// run calls fn in a bubble with the whole app, in memory.
func run(t *testing.T, fn func(t *testing.T, srv *gatewaytest.Server, c *chat)) {
	synctest.Test(t, func(t *testing.T) {
		app, c := newApp(everybody, make([]byte, leastKey))
		stop := c.start()
		fn(t, gatewaytest.NewServer(t, app), c)
		if err := c.gw.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		stop()
	})
}

// A member reads what a room sends and keeps the latest lists apart.
type member struct {
	*gatewaytest.Peer
	history []said
	who     who
	rooms   []listedRoom
}

// enter logs in, comes into a room and takes the history.
func enter(t *testing.T, srv *gatewaytest.Server, room, name string) *member {
	t.Helper()
	b := &visitor{t: t, srv: srv}
	b.login(name)
	peer, status := b.dial(room, b.ticket())
	if peer == nil {
		t.Fatalf("%s comes into %s: status %d", name, room, status)
	}
	return takeHistory(t, peer, room, name)
}

func takeHistory(t *testing.T, peer *gatewaytest.Peer, room, name string) *member {
	t.Helper()
	p := &member{Peer: peer}
	var h history
	if b := p.Receive().Data; json.Unmarshal(b, &h) != nil || h.Type != "history" ||
		h.Room != room || h.You != name || h.Said == nil {
		t.Fatalf("the first message is %s, want the history of %s for %s", b, room, name)
	}
	p.history = h.Said
	return p
}

// heard returns the texts that were said until nothing more comes, and takes the
// lists.
func (p *member) heard(t *testing.T) (texts []string) {
	t.Helper()
	time.Sleep(2 * pace)
	for synctest.Wait(); !p.Empty(); synctest.Wait() {
		m := p.Receive()
		var v struct {
			Type    string
			From    string
			Text    string
			Members int
			Names   []string
			Rooms   []listedRoom
		}
		if err := json.Unmarshal(m.Data, &v); err != nil {
			t.Fatalf("received %q: %v", m.Data, err)
		}
		switch v.Type {
		case "said":
			texts = append(texts, v.From+": "+v.Text)
		case "who":
			p.who = who{Members: v.Members, Names: v.Names}
		case "rooms":
			p.rooms = v.Rooms
		default:
			t.Errorf("received %s", m.Data)
		}
	}
	return texts
}

func (p *member) sees(t *testing.T, names ...string) {
	t.Helper()
	if p.who.Members != len(names) || !slices.Equal(p.who.Names, names) {
		t.Errorf("sees %d members %q, want %q", p.who.Members, p.who.Names, names)
	}
}

func TestRoom(t *testing.T) {
	run(t, func(t *testing.T, srv *gatewaytest.Server, c *chat) {
		ada := enter(t, srv, "lobby", "Ada")
		grace := enter(t, srv, "lobby", "Grace")
		alan := enter(t, srv, "other", "Alan")
		ada.Send(gateway.Text("hello <you>"))
		for _, p := range []*member{ada, grace} {
			if got := p.heard(t); !slices.Equal(got, []string{"Ada: hello <you>"}) {
				t.Errorf("the room heard %q", got)
			}
			p.sees(t, "Ada", "Grace")
		}
		if got := alan.heard(t); got != nil {
			t.Errorf("the other room heard %q", got)
		}
		alan.sees(t, "Alan")
		if want := []listedRoom{{"lobby", 2}, {"other", 1}}; !slices.Equal(alan.rooms, want) {
			t.Errorf("rooms = %v, want %v", alan.rooms, want)
		}

		ada.Cut()
		if got := grace.heard(t); got != nil {
			t.Errorf("heard %q of one who left", got)
		}
		grace.sees(t, "Grace")
		again := enter(t, srv, "lobby", "Ada")
		if len(again.history) != 1 || again.history[0].Text != "hello <you>" ||
			again.history[0].From != "Ada" {
			t.Errorf("history = %v, want what Ada said", again.history)
		}
	})
}

func TestHistoryIsTheLast50(t *testing.T) {
	run(t, func(t *testing.T, srv *gatewaytest.Server, c *chat) {
		ada := enter(t, srv, "lobby", "Ada")
		for i := range 70 {
			ada.Send(gateway.Text(fmt.Sprint(i)))
		}
		time.Sleep(time.Minute) // 5 messages a second
		if got := len(ada.heard(t)); got != 70 {
			t.Errorf("heard %d messages, want 70", got)
		}
		ada.Close(1000, "")
		synctest.Wait()
		late := enter(t, srv, "lobby", "Grace") // also after everybody has left
		if n := len(late.history); n != 50 || late.history[0].Text != "20" ||
			late.history[n-1].Text != "69" {
			t.Errorf("history of %d messages from %q, want 50 from 20 to 69", n, late.history[0].Text)
		}
	})
}

func TestTheLongestHistoryFits(t *testing.T) {
	run(t, func(t *testing.T, srv *gatewaytest.Server, c *chat) {
		long := strings.Repeat("<", maxMessage)
		ada := enter(t, srv, "lobby", longest)
		for range keepMessages {
			ada.Send(gateway.Text(long))
		}
		time.Sleep(time.Minute)
		ada.heard(t)
		if got := enter(t, srv, "lobby", "Grace").history; len(got) != keepMessages ||
			got[0].Text != long {
			t.Errorf("history of %d messages, want %d", len(got), keepMessages)
		}
	})
}

// Whoever comes while others talk hears every message once: in the history or
// after it.
func TestNothingIsMissedOnTheWayIn(t *testing.T) {
	run(t, func(t *testing.T, srv *gatewaytest.Server, c *chat) {
		r := c.enter("lobby", "Alan")
		defer c.leave(r, "Alan")
		talked := make(chan error, 1)
		go func() {
			for i := range keepMessages {
				if err := r.say(t.Context(), "Ada", fmt.Sprint(i)); err != nil {
					talked <- err
					return
				}
			}
			talked <- nil
		}()
		grace := enter(t, srv, "lobby", "Grace")
		if err := <-talked; err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range grace.history {
			got = append(got, "Ada: "+s.Text)
		}
		got = append(got, grace.heard(t)...)
		for i := range keepMessages {
			if want := fmt.Sprint("Ada: ", i); i >= len(got) || got[i] != want {
				t.Fatalf("heard %q, want 0 to %d", got, keepMessages-1)
			}
		}
	})
}

func TestEmptyRoomsAreForgotten(t *testing.T) {
	run(t, func(t *testing.T, srv *gatewaytest.Server, c *chat) {
		full := enter(t, srv, "full", "Ada")
		for i := range keepEmpty + 5 {
			c.leave(c.enter(fmt.Sprint(i), "Alan"), "Alan")
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.rooms) != keepEmpty+1 || len(c.empty) != keepEmpty {
			t.Errorf("%d rooms, %d of them empty, want %d and %d", len(c.rooms), len(c.empty), keepEmpty+1,
				keepEmpty)
		}
		if c.rooms["4"] != nil || c.rooms["5"] == nil || c.rooms["full"] == nil {
			t.Errorf("the rooms that were left first should be forgotten, and no other")
		}
		full.Close(1000, "")
	})
}

func TestListsAreCoalesced(t *testing.T) {
	run(t, func(t *testing.T, srv *gatewaytest.Server, c *chat) {
		ada := enter(t, srv, "lobby", "Ada")
		ada.heard(t)
		for range 100 {
			c.leave(c.enter("lobby", "Alan"), "Alan")
		}
		time.Sleep(2 * pace)
		synctest.Wait()
		n := 0
		for ; !ada.Empty(); n++ {
			ada.Receive()
		}
		if n == 0 || n > 4 {
			t.Errorf("200 changes sent %d lists, want 2 or 4", n)
		}
	})
}

func TestRefusals(t *testing.T) {
	run(t, func(t *testing.T, srv *gatewaytest.Server, c *chat) {
		long, binary := enter(t, srv, "lobby", "Ada"), enter(t, srv, "lobby", "Grace")
		long.Send(gateway.Text(strings.Repeat("x", maxMessage+1)))
		if code, _ := long.Closed(); code != 1009 {
			t.Errorf("a message above the limit: closed with %d, want 1009", code)
		}
		binary.Send(gateway.Binary([]byte("x")))
		if code, _ := binary.Closed(); code != 1003 {
			t.Errorf("a binary message: closed with %d, want 1003", code)
		}
	})
}

func TestPagesAndHealth(t *testing.T) {
	run(t, func(t *testing.T, srv *gatewaytest.Server, c *chat) {
		ada := &visitor{t: t, srv: srv}
		get := func(path string, status int, part string) {
			t.Helper()
			if got, body := ada.request("GET", path, ""); got != status ||
				!strings.Contains(body, part) {
				t.Errorf("GET %s = %d without %q, want %d with it", path, got, part, status)
			}
		}
		get("/", 303, "/login.html")
		get("/login.html", 200, "<title>Log in · gateway chat</title>")
		get("/main.js", 200, "connect")
		get("/api/v1/solution/health", 200, "OK")
		ada.login("Ada")
		get("/", 200, "<title>gateway chat</title>")
	})
}
