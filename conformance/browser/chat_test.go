package browser_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wsgateway/gateway/conformance/browser"
)

var passwords = map[string]string{
	"Ada": "lovelace", "Alan": "turing", "Grace": "hopper", "Ken": "thompson", "Radia": "perlman",
}

// joinChat opens the page of the chat in a browser of its own, logs in and is in the room.
func joinChat(b *browser.Browser, url, room, name string) *browser.Tab {
	tab := b.Tab(url + "/#" + room)
	logIn(tab, name, passwords[name])
	tab.Shows("#state", "connected")
	tab.Shows("#who .own", name)
	return tab
}

func logIn(tab *browser.Tab, name, password string) {
	tab.Shows("h2", "Log in")
	tab.Type("#login [name=user]", name)
	tab.Type("#login [name=password]", password)
	tab.Click("#login button")
}

// A socket takes a login, which lasts until it is ended, in all tabs of a browser and
// nowhere else. The server's counters are where operators look.
func TestChatLogin(t *testing.T) {
	b := browser.Start(t)
	program := browser.Program(t, "chat")
	ada := b.Tab(program.URL + "/#tea%20room")
	ada.Allow("status of 401")
	logIn(ada, "Ada", "of somebody else")
	ada.Shows("#wrong", "do not belong together")
	logIn(ada, "Ada", passwords["Ada"])
	ada.Shows("#room", "tea room") // where she wanted to go
	ada.Shows("#state", "connected")
	ada.Shows("#you", "Ada")
	if got := ada.String("document.cookie"); got != "" {
		t.Errorf("the page sees the cookie %q, want none", got)
	}
	ada.Until(`performance.getEntriesByType("resource").every(e => !e.name.includes("ticket."))`)

	beside := b.Beside(ada, program.URL+"/#tea%20room")
	beside.Shows("#you", "Ada") // without another login
	elsewhere := joinChat(b, program.URL, "lobby", "Ada")
	grace := joinChat(b, program.URL, "tea%20room", "Grace")
	grace.Shows("#here", "2 people")
	beside.Click("#leave")
	for _, tab := range []*browser.Tab{ada, beside} {
		tab.Shows("h2", "Log in")
	}
	grace.Shows("#here", "only you")
	say(elsewhere, "I am still here")
	elsewhere.Shows("#talk .own", "I am still here")
	logIn(ada, "Alan", passwords["Alan"])
	ada.Shows("#you", "Alan")
	ada.Shows("#room", "tea room")

	scrape := get(t, program.Printed(`http://\S+/metrics`))
	for _, line := range []string{
		`gateway_sockets{route="/rooms/{room}"} 3`,
		`gateway_sockets_closed_total{cause="operation",route="/rooms/{room}"} 2`,
	} {
		if !strings.Contains(scrape, line) {
			t.Errorf("the metrics are without %s:\n%.4000s", line, scrape)
		}
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("GET %s = %s (%v)", url, resp.Status, err)
	}
	return string(body)
}

func TestChat(t *testing.T) {
	b := browser.Start(t)
	program := browser.Program(t, "chat")
	ada := joinChat(b, program.URL, "lobby", "Ada")
	ada.Shows("#talk .empty", "Nothing was said")
	ada.Shows("#here", "only you")
	grace := joinChat(b, program.URL, "lobby", "Grace")
	for _, tab := range []*browser.Tab{ada, grace} {
		tab.Count("#who li", 2)
		tab.Shows("#who", "Ada")
		tab.Shows("#who", "Grace")
		tab.Shows("#here", "2 people")
	}
	say(ada, "Hello, <b>Grace</b>")
	grace.Shows("#talk .turn:not(.own) .what", "Hello, <b>Grace</b>")
	say(grace, "Good morning")
	ada.Shows("#talk .turn:not(.own) .what", "Good morning")
	ada.Count("#talk .turn", 2)

	// Another room hears nothing, and is in everybody's list.
	ada.Type("#other", "Kaffee & Kuchen")
	ada.Click("#go button")
	ada.Shows("#room", "Kaffee & Kuchen")
	ada.Shows("#state", "connected")
	ada.Shows("#talk .empty", "Nothing was said")
	grace.Shows("#rooms", "Kaffee & Kuchen")
	grace.Count("#who li", 1)
	say(grace, "Still here?")
	grace.Shows("#talk .own", "Still here?")

	// Who comes back sees what was said meanwhile.
	ada.Until(
		`[...document.querySelectorAll("#rooms button")]
			.find(b => b.textContent.startsWith("lobby"))?.click() === undefined`)
	ada.Shows("#room", "lobby")
	ada.Shows("#talk .what", "Still here?")
	ada.Count("#talk .turn", 3)
	grace.Close()
	ada.Shows("#here", "only you")
	ada.Count("#who li", 1)
}

// Names that people type by mistake, or to do harm.
func TestChatOddNames(t *testing.T) {
	b := browser.Start(t)
	longest := strings.Repeat("W", 40)
	url := browser.Program(t, "chat", "-users", usersFile(t, markup, longest)).URL

	// There is no attempt to enter a room that cannot be: the browser would log it
	// as an error, which fails the test.
	ada := b.Tab(url + "/#" + strings.Repeat("x", 60))
	logIn(ada, markup, "secret")
	for _, room := range []string{"", "..", "."} {
		if room != "" {
			goTo(ada, room)
		}
		ada.Shows("#talk .empty", "There can be no room")
		ada.Shows("#state", "not connected")
		ada.Until(`document.querySelector("#text").disabled`)
	}
	ownOnly(ada)

	goTo(ada, markup)
	ada.Shows("#state", "connected")
	say(ada, markup)
	for _, place := range []string{"title", "#you", "#room", "#rooms [aria-current]", "#who .own",
		"#talk .by",
		"#talk .what"} {
		ada.Shows(place, markup)
	}
	noMarkup(ada)

	say(ada, "   ")
	ada.Type("#text", "\r")
	say(ada, "next")
	ada.Shows("#talk .what", "next")
	ada.Count("#talk .turn", 2) // nothing blank was sent

	// The longest name leaves the time whole, wherever the line of the two breaks.
	ada.Click("#leave")
	logIn(ada, longest, "secret")
	ada.Shows("#state", "connected")
	say(ada, "again")
	ada.Shows("#talk .what", "again")
	for width := int64(360); width <= 440; width += 10 {
		ada.Size(width, 740)
		ada.Fits()
		ada.Until(`[...document.querySelectorAll("#talk .turn:not(.same) time")].every(time => {
			const is = time.getBoundingClientRect();
			const within = document.querySelector("#talk").getBoundingClientRect();
			return /^\d\d:\d\d$/.test(time.textContent) && is.width > 0
				&& is.left >= within.left && is.right <= within.right
				&& is.height < 1.5 * parseFloat(getComputedStyle(time).lineHeight);
		})`)
	}
}

// usersFile names the users of a chat, whose password is "secret".
func usersFile(t *testing.T, names ...string) string {
	users := map[string]string{}
	for _, name := range names {
		users[name] = "secret"
	}
	text, err := json.Marshal(users)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, "users.json", text)
}

func write(t *testing.T, name string, text []byte) string {
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func goTo(tab *browser.Tab, room string) {
	tab.Type("#other", room)
	tab.Click("#go button")
	tab.Until(fmt.Sprintf(`document.querySelector("#room").textContent === %q`, room))
}

func TestChatHistory(t *testing.T) {
	b := browser.Start(t)
	url := browser.Program(t, "chat").URL
	ada := joinChat(b, url, "lobby", "Ada")
	ada.String(`(() => {
		for (let i = 1; i <= 55; i++) {
			document.querySelector("#text").value = "message " + i;
			document.querySelector("#say").requestSubmit();
		}
		return "";
	})()`)
	ada.Shows("#talk li:last-child", "message 55") // at 5 a second
	ada.Count("#talk .turn", 55)
	late := joinChat(b, url, "lobby", "Grace")
	late.Count("#talk .turn", 50)
	late.Shows("#talk li:first-child", "message 6")
	late.Shows("#talk li:last-child", "message 55")
}

// A lost connection comes back by itself, with the room as it is by then, and without
// another login: the key outlives the process.
func TestChatComesBack(t *testing.T) {
	b := browser.Start(t)
	first := browser.Program(t, "chat", "-key", write(t, "key", []byte(strings.Repeat("k", 32))))
	ada := joinChat(b, first.URL, "lobby", "Ada")
	say(ada, "before")
	ada.Shows("#talk", "before")
	grace := joinChat(b, first.URL, "lobby", "Grace")
	for _, tab := range []*browser.Tab{ada, grace} {
		tab.Type("#text", "half a sentence")
		tab.Allow("ERR_CONNECTION_REFUSED")
	}
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	ada.Shows("#state", "trying again")
	ada.Until(`document.querySelector("#text").disabled`)
	grace.Until(`document.querySelector("#text").disabled`)
	grace.Click("#other")
	first.Again()
	ada.Shows("#state", "connected")
	focused(ada, "#text")
	if got := ada.String(`document.querySelector("#text").value`); got != "half a sentence" {
		t.Errorf("the field for a message has %q, want what was written before", got)
	}
	grace.Shows("#state", "connected")
	focused(grace, "#other")               // who has gone elsewhere stays there
	ada.Shows("#talk", "Nothing was said") // by the new process
	say(ada, "after")
	ada.Shows("#talk .own", "after")
}

// Its pictures are for people to look at.
func TestChatLooks(t *testing.T) {
	b := browser.Start(t)
	url := browser.Program(t, "chat").URL
	ada := joinChat(b, url, "lobby", "Ada")
	grace, alan := joinChat(b, url, "lobby", "Grace"), joinChat(b, url, "lobby", "Alan")
	joinChat(b, url, "release", "Radia")
	joinChat(b, url, "operations", "Ken")
	for _, line := range []struct {
		tab  *browser.Tab
		text string
	}{
		{grace, "Good morning! Has anyone looked at the numbers from last night?"},
		{ada, "I did. 10,000 sockets on one small machine, and nobody waited."},
		{ada, "The graphs are on the board next to the coffee."},
		{alan, "What happens when one of them stops reading?"},
		{grace, "Nothing, for the others. Its queue is bounded: we hear that it is full, and after ten " +
			"seconds it is closed with slow_consumer."},
		{alan, "Lovely."},
	} {
		say(line.tab, line.text)
		ada.Shows("#talk .what", line.text)
	}
	ada.Shows("#rooms", "operations")
	stranger := b.Tab(url)
	stranger.Shows("h2", "Log in")
	for _, scheme := range []string{"light", "dark"} {
		ada.Scheme(scheme)
		for _, size := range []struct{ width, height int64 }{{1280, 800}, {760, 800}, {360, 740}} {
			ada.Size(size.width, size.height)
			ada.Fits()
			ada.Until(`document.querySelector("#you").getBoundingClientRect().height < 30`) // one line
			ada.Screenshot(fmt.Sprintf("chat-%s-%d", scheme, size.width))
			stranger.Scheme(scheme)
			stranger.Size(size.width, size.height)
			stranger.Fits()
			stranger.Screenshot(fmt.Sprintf("chat-login-%s-%d", scheme, size.width))
		}
	}
}
