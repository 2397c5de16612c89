package browser_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/wsgateway/gateway/conformance/browser"
)

// visit opens a page of the quickstart and waits until it has the server's list.
func visit(b *browser.Browser, url string) *browser.Tab {
	tab := b.Tab(url)
	tab.Shows("#health", "serving")
	return tab
}

// enter opens a socket of the tab in a room.
func enter(tab *browser.Tab, room, name string) {
	tab.Choose("#endpoint", "room")
	tab.Type("#room", room)
	tab.Type("#name", name)
	tab.Click("#open button")
	tab.Shows("#talk .note", "you are in "+room)
}

// openEcho opens a socket of the tab that echoes.
func openEcho(tab *browser.Tab) {
	tab.Choose("#endpoint", "echo")
	tab.Click("#open button")
	tab.Shows("#talk .note", "what you send comes back")
}

func say(tab *browser.Tab, text string) {
	tab.Type("#text", text)
	tab.Click("#say button")
}

// pick chooses a socket in the list of all by what its row shows, and returns
// its id.
func pick(tab *browser.Tab, text string) (id string) {
	tab.Shows("#sockets .row", text)
	return tab.String(fmt.Sprintf(`(() => {
		const row = [...document.querySelectorAll("#sockets .row")].find(r => r.textContent.includes(%q));
		row.click();
		return row.dataset.id;
	})()`, text))
}

// answered waits for the newest entry of the page's list of operations, checks
// its status and that it is an error object of the type, exactly.
func answered(t *testing.T, tab *browser.Tab, status int, typ string) {
	t.Helper()
	tab.Until(fmt.Sprintf(`document.querySelector("#log .call")?.textContent.includes(%q)`, typ))
	text := tab.String(`document.querySelector("#log .call .answer").textContent`)
	var got map[string]any
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("the page shows %q: %v", text, err)
	}
	if len(got) != 3 || got["type"] != typ || got["status"] != float64(status) || got["error"] == "" {
		t.Errorf("the page shows %s, want an error object of type %s and status %d", text, typ, status)
	}
	if shown := tab.String(`document.querySelector("#log .call .status").textContent`); shown != fmt.Sprint(status) {
		t.Errorf("%s: the page shows status %s, want %d", typ, shown, status)
	}
}

func TestQuickstartChat(t *testing.T) {
	b := browser.Start(t)
	program := browser.Program(t, "quickstart")
	ada := visit(b, program.URL)
	grace := b.Beside(ada, program.URL)
	ada.Shows("#none", "Nobody is connected")

	enter(ada, "lobby", "Ada")
	enter(grace, "lobby", "Grace")
	ada.Shows("#talk .note", "Grace came in")
	say(ada, "Hello, <b>Grace</b>")
	grace.Shows("#talk .said:not(.own)", "Hello, <b>Grace</b>")
	ada.Shows("#talk .said.own", "Hello, <b>Grace</b>")
	say(grace, "Good morning")
	ada.Shows("#talk .said:not(.own)", "Good morning")

	elsewhere := visit(b, program.URL)
	enter(elsewhere, "other room", "Alan")
	say(elsewhere, "is anybody here?")
	elsewhere.Shows("#talk .said.own", "is anybody here?")
	ada.Hides("#talk", "anybody")

	grace.Close()
	ada.Shows("#talk .note", "Grace left")

	if err := program.Stop(); err != nil {
		t.Errorf("SIGTERM with open sockets: %v", err)
	}
	ada.Allow("ERR_CONNECTION_REFUSED") // the page goes on asking
	elsewhere.Allow("ERR_CONNECTION_REFUSED")
	ada.Shows("#talk .note.bad", "closed with 1001")
	ada.Shows("#health", "no answer")
}

func TestQuickstartOperations(t *testing.T) {
	b := browser.Start(t)
	url := browser.Program(t, "quickstart").URL
	ada, grace := visit(b, url), visit(b, url)
	enter(grace, "lobby", "Grace")
	enter(ada, "lobby", "Ada")
	openEcho(ada)
	say(ada, "ping")
	ada.Shows("#talk .said:not(.own)", "ping")
	ada.Choose("#as", "binary")
	say(ada, "hi")
	ada.Shows("#talk .said:not(.own)", "68 69")

	ada.Count("#sockets .row", 3)
	ada.Count("#sockets .tag", 2) // this tab's
	id := pick(ada, "Grace")
	for _, field := range []string{
		`"socket_id": "` + id + `"`, `"route": "/rooms/{room}"`, `"name": "Grace"`, `"type": "open"`,
	} {
		ada.Shows("#info", field)
	}
	ada.Type("#message", "from the server")
	ada.Click("#send .primary")
	grace.Shows("#talk .said.server", "from the server")
	ada.Choose("#type", "data-binary")
	ada.Type("#message", "de ad be ef")
	ada.Click("#send .primary")
	grace.Shows("#talk .said.server", "de ad be ef")
	ada.Count("#log .call:not(.failed)", 2)

	ada.Click("#close")
	grace.Shows("#talk .note", "closed with 1000")
	ada.Shows("#chosen-state", "gone")
	ada.Count("#sockets .row", 2)
	ada.Allow("404 (Not Found)")
	ada.Click("#close")
	answered(t, ada, 404, "not_found")

	ada.Click("#close-all")
	ada.Shows("#log .call:first-child .answer", "2")
	ada.Shows("#talk .note", "closed with 1000")
	ada.Count("#tabs .open", 0)
	ada.Shows("#none", "Nobody is connected")
}

func TestQuickstartErrors(t *testing.T) {
	tab := visit(browser.Start(t), browser.Program(t, "quickstart").URL)
	openEcho(tab)
	tab.Count("#sockets .row", 1)
	tab.Allow("the server responded with a status of 4") // the browser logs what the page shows
	for _, try := range []struct {
		name   string
		status int
		typ    string
	}{
		{"unknown", 404, "not_found"},
		{"base64", 400, "invalid_request"},
		{"route", 404, "no_route"},
		{"type", 400, "invalid_request"},
		{"large", 413, "too_large"},
		{"upgrade", 426, "upgrade_required"},
	} {
		tab.Click(`[data-try="` + try.name + `"]`)
		answered(t, tab, try.status, try.typ)
	}
	tab.Count("#log .failed", 6)
	tab.Count("#sockets .row", 1) // none of them did anything
}

// Its pictures are for people to look at.
func TestQuickstartLooks(t *testing.T) {
	b := browser.Start(t)
	url := browser.Program(t, "quickstart").URL
	ada, grace := visit(b, url), visit(b, url)
	ada.Screenshot("quickstart-empty")
	openEcho(ada)
	say(ada, "Is this thing on?")
	enter(grace, "lobby", "Grace")
	enter(ada, "lobby", "Ada")
	say(grace, "Good morning, Ada. Have you seen the new release?")
	ada.Shows("#talk .said", "Good morning")
	say(ada, "I have. Every socket has an id now, whatever its route.")
	grace.Shows("#talk .said", "I have")
	pick(ada, "Ada")
	ada.Type("#message", "Maintenance starts in ten minutes.")
	ada.Click("#send .primary")
	ada.Shows("#talk .said.server", "Maintenance")
	ada.Allow("404 (Not Found)")
	ada.Click(`[data-try="unknown"]`)
	ada.Count("#log .call", 2)
	for _, scheme := range []string{"light", "dark"} {
		ada.Scheme(scheme)
		ada.Size(1280, 900)
		ada.Fits()
		ada.Screenshot("quickstart-" + scheme)
		ada.Size(360, 740)
		ada.Fits()
		ada.Screenshot("quickstart-narrow-" + scheme)
	}
}
