package browser_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
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
// its status and that it is an error object of the type, exactly, and returns it.
func answered(t *testing.T, tab *browser.Tab, status int, typ string) (got map[string]any) {
	t.Helper()
	tab.Until(fmt.Sprintf(`document.querySelector("#log .call")?.textContent.includes(%q)`, typ))
	text := tab.String(`document.querySelector("#log .call .answer").textContent`)
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("the page shows %q: %v", text, err)
	}
	if len(got) != 3 || got["type"] != typ || got["status"] != float64(status) || got["error"] == "" {
		t.Errorf("the page shows %s, want an error object of type %s and status %d", text, typ, status)
	}
	if shown := tab.String(
		`document.querySelector("#log .call .status").textContent`); shown != fmt.Sprint(status) {
		t.Errorf("%s: the page shows status %s, want %d", typ, shown, status)
	}
	return got
}

// answer returns the JSON object that the server answers.
func answer(t *testing.T, method, url, body string) (object map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&object); err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return object
}

func TestQuickstartChat(t *testing.T) {
	b := browser.Start(t)
	program := browser.Program(t, "quickstart")
	ada := visit(b, program.URL)
	ada.Allow("ERR_CONNECTION_REFUSED") // it goes on asking when the program has ended
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
	elsewhere.Allow("ERR_CONNECTION_REFUSED") // see below
	enter(elsewhere, markup, markup)
	say(elsewhere, markup)
	elsewhere.Shows("#talk .said.own", markup)
	elsewhere.Shows("#talk .said.own small", markup)
	elsewhere.Shows("#tabs", markup+" · "+markup)
	noMarkup(elsewhere)
	ada.Hides("#talk", markup)
	strangers(t, ada, program.URL)

	grace.Close()
	ada.Shows("#talk .note", "Grace left")

	if err := program.Stop(); err != nil {
		t.Errorf("SIGTERM with open sockets: %v", err)
	}
	ada.Shows("#talk .note.bad", "closed with 1012")
	ada.Shows("#health", "no answer")
	ada.Click("#open button")
	ada.Shows("#talk .note.bad", "not connected: the server refused this path, or cannot be reached")
	ada.Click(`[data-try="unknown"]`)
	ada.Shows("#log .failed .answer", "no answer: ")
}

// The focus goes where a person is going to write, and stays where one is.
func TestQuickstartFocus(t *testing.T) {
	b := browser.Start(t)
	url := browser.Program(t, "quickstart").URL
	ada, grace := visit(b, url), visit(b, url)
	enter(ada, "lobby", "Ada")
	focused(ada, "#text")
	id := pick(ada, "Ada")

	// Who has gone elsewhere before the socket is open stays there.
	ada.Type("#name", "Barbara")
	ada.String(
		`(document.querySelector("#open").requestSubmit(), document.querySelector("#room").focus(), "")`)
	ada.Shows("#talk .note", "you are in lobby")
	ada.Count("#tabs .open", 2)
	focused(ada, "#room")

	// The lists change around the focus.
	row, chip := `[data-id="`+id+`"]`, "#tabs .chip:first-child button:first-child"
	ada.String(fmt.Sprintf("(document.querySelector(%q).focus(), '')", row))
	enter(grace, "lobby", "Grace")
	ada.Count("#sockets .row", 3)
	focused(ada, row)
	ada.Type("#message", "half a sentence")
	ada.String(fmt.Sprintf("(document.querySelector(%q).focus(), '')", chip))
	say(grace, "one")
	ada.Count("#tabs .chip:first-child b", 1) // unread
	focused(ada, chip)
	ada.Click("#message")
	grace.Close()
	ada.Count("#sockets .row", 2)
	focused(ada, "#message")
	ada.Until(`document.querySelector("#message").value === "half a sentence"`)
}

// strangers looks at the list of all sockets, with one of somebody who has written
// markup wherever that is possible.
func strangers(t *testing.T, tab *browser.Tab, url string) {
	// A Host that is none for a browser is in the URI of the info, too.
	conn, _, err := websocket.Dial(t.Context(),
		"ws"+strings.TrimPrefix(url, "http")+"/rooms/x?name=Mallory",
		&websocket.DialOptions{Host: "x:99999"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	tab.Shows("#sockets .uri", "/rooms/x · Mallory")
	tab.Shows("#health", "serving 4 sockets")
	pick(tab, markup)
	tab.Shows("#sockets .uri", "/rooms/"+markup+" · "+markup)
	tab.Shows("#sockets .last", markup)
	tab.Shows("#info .str", markup)
	tab.Type("#message", markup)
	tab.Click("#send .primary")
	tab.Shows("#log .request", markup)
	noMarkup(tab)
	ownOnly(tab)
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
	b, url := browser.Start(t), browser.Program(t, "quickstart").URL
	tab := visit(b, url)
	openEcho(tab)
	focused(tab, "#text")
	tab.Count("#sockets .row", 1)
	send := "/api/sockets/" + tab.String(`document.querySelector("#sockets .row").dataset.id`) +
		"/send"
	tab.Allow("the server responded with a status of 4") // the browser logs what the page shows
	for _, try := range []struct {
		name               string
		status             int
		typ                string
		method, path, body string
	}{
		{"unknown", 404, "not_found", "DELETE", "/api/sockets/nobody-has-this-id", ""},
		{"base64", 400, "invalid_request", "POST", send, `{"message":"%%%","type":"data-binary"}`},
		{"route", 404, "no_route", "GET", "/rooms/a/b", ""},
		{"type", 400, "invalid_request", "POST", send, `{"message":"hello","type":"data-picture"}`},
		{"large", 413, "too_large", "POST", send,
			`{"message":"` + strings.Repeat("x", 2<<20) + `","type":"data-text"}`},
		{"upgrade", 426, "upgrade_required", "GET", "/echo", ""},
	} {
		tab.Click(`[data-try="` + try.name + `"]`)
		shown := answered(t, tab, try.status, try.typ)
		if came := answer(t, try.method, url+try.path, try.body); !maps.Equal(shown, came) {
			t.Errorf("%s: the page shows %v, the server answers %v", try.name, shown, came)
		}
		tab.Shows("#log .call:first-child .request", try.method+" "+try.path)
	}
	tab.Count("#log .failed", 6)
	tab.Count("#sockets .row", 1) // none of them did anything

	tab.Allow("WebSocket connection to")
	tab.Choose("#endpoint", "room")
	tab.Type("#room", ".") // which a browser takes for a step in the path
	tab.Click("#open button")
	tab.Shows("#talk .note.bad", "not connected: the server refused this path, or cannot be reached")
	tab.Hides("#talk", "1006")
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
