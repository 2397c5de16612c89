package browser_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/wsgateway/gateway/conformance/browser"
)

// visitScripts opens the page and waits until it knows the routes.
func visitScripts(b *browser.Browser, url string) *browser.Tab {
	tab := b.Tab(url)
	tab.Shows("#state", "serving")
	return tab
}

// openRoute opens a socket of the tab at a path of a route.
func openRoute(tab *browser.Tab, route, path string) {
	tab.Choose("#route", route)
	tab.Type("#path", path)
	tab.Click("#open button")
	tab.Shows("#talk .note", "open")
}

// writeScript writes a file of a solution.
func writeScript(t *testing.T, dir, file, text string) {
	t.Helper()
	path := filepath.Join(dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestScriptsBundledSolution(t *testing.T) {
	b := browser.Start(t)
	program := browser.Program(t, "scripts")
	ada, grace := visitScripts(b, program.URL), visitScripts(b, program.URL)
	ada.Shows("#source", "comes with the example")
	ada.Count("#scripts tr", 7) // five routes, and the handlers of two events

	openRoute(ada, "/chat/{room}", "/chat/lobby?name=Ada")
	focused(ada, "#text")
	ada.Shows("#talk .said", `"type":"joined"`)
	openRoute(grace, "/chat/{room}", "/chat/lobby?name=Grace")
	ada.Shows("#talk .said", `{"here":["Ada","Grace"],"name":"Grace","type":"joined"}`)
	say(ada, "Hello, <b>Grace</b>")
	grace.Shows("#talk .said", `"text":"Hello, <b>Grace</b>"`)
	ada.Shows("#log .what", "Grace came into lobby")
	ada.Shows("#log .place", "endpoints/chat.lua:")

	openRoute(ada, "/bytes", "/bytes")
	ada.Click("#samples button") // bytes 01 02 03 ff
	ada.Shows("#talk .said", `{"bytes":4,"sum":5,"text":false}`)
	ada.Shows("#talk .said code", "ff 03 02 01")

	ada.Click("#start-device")
	grace.Shows("#readings b", "°C")
	grace.Count("#readings li", 1)
	ada.Close()
	grace.Shows("#talk .said", `{"here":["Grace"],"name":"Ada","type":"left"}`)
	grace.Count("#readings li", 0)
	grace.Hides("#scripts .failed", "1")

	// What strangers send is text.
	openRoute(grace, "/chat/{room}", "/chat/"+markup+"?name="+markup)
	grace.Shows("#talk .said", `"here":["`+markup+`"]`)
	grace.Shows("#tabs", "/chat/"+markup)
	grace.Shows("#log .what", markup+" came into "+markup)
	openRoute(grace, "/devices/{id}", "/devices/"+markup)
	grace.Click("#samples button") // a temperature
	grace.Shows("#readings", markup)
	noMarkup(grace)
	ownOnly(grace)

	grace.Allow("WebSocket connection to") // the browser logs what the page shows
	grace.Type("#path", "/nowhere")
	grace.Click("#open button")
	grace.Shows("#talk .note.bad", "not connected: no route has this path")
	grace.Hides("#talk", "1006")
	grace.Type("#path", "/chat/a#b") // no browser opens a WebSocket there
	grace.Click("#open button")
	grace.Until(`document.querySelector("#path:invalid")`)
	grace.Count("#tabs .chip", 4)
	grace.Click("#tabs button")

	grace.Allow("ERR_CONNECTION_REFUSED") // the page goes on asking
	if err := program.Stop(); err != nil {
		t.Errorf("SIGTERM with open sockets: %v", err)
	}
	grace.Shows("#talk .note.bad", "closed with 1012")
	grace.Shows("#state", "no answer")
}

func TestScriptsEdits(t *testing.T) {
	dir := t.TempDir()
	writeScript(t, dir, "endpoints/a.lua",
		"--#ENDPOINT WEBSOCKET /say/{what}\nif websocketInfo.type == 'data' then return 'one' end\n")
	tab := visitScripts(browser.Start(t), browser.Program(t, "scripts", "-dir", dir).URL)
	tab.Shows("#source", dir)
	tab.Until(`document.querySelector("#devices").hidden`)

	// A request is lost, and the next answer is as before.
	tab.String(`(window.kept = fetch, window.fetch = () => Promise.reject(new Error("lost")), "")`)
	tab.Shows("#state", "no answer")
	tab.String(`(window.fetch = kept, "")`)
	tab.Shows("#state", "serving")

	openRoute(tab, "/say/{what}", "/say/it")
	say(tab, "x")
	tab.Shows("#talk .said", "one")

	const second = "--#ENDPOINT WEBSOCKET /say/{what}\nif websocketInfo.type == 'data' then\n  " +
		"return 'two'\nend\n"
	writeScript(t, dir, "endpoints/a.lua", second+"local x = = '"+markup+"'\n")
	tab.Shows("#refused h2", "not deployed")
	tab.Shows("#problems .place", "endpoints/a.lua:5")
	tab.Shows("#problems pre", "local x = = '"+markup+"'")
	noMarkup(tab)
	say(tab, "x")
	tab.Until(
		`[...document.querySelectorAll("#talk .said:not(.own)")]
			.filter(e => e.textContent.includes("one")).length === 2`)

	writeScript(t, dir, "endpoints/a.lua", second)
	writeScript(t, dir, "endpoints/more/b.lua",
		"--#ENDPOINT WEBSOCKET /b\nprint('hi') error('boom')\n")
	tab.Shows("#route", "/b")
	tab.Until(`document.querySelector("#refused").hidden`)
	tab.Count("#problems li", 0)
	say(tab, "x") // the socket is still open
	tab.Shows("#talk .said", "two")
	openRoute(tab, "/b", "/b")
	tab.Shows("#log .error pre", "endpoints/more/b.lua:2: boom")
	tab.Shows("#scripts .failed", "1")
}

// Its pictures are for people to look at.
func TestScriptsLooks(t *testing.T) {
	b := browser.Start(t)
	dir := t.TempDir()
	bundled := filepath.Join("..", "..", "examples", "scripts", "solution")
	if err := os.CopyFS(dir, os.DirFS(bundled)); err != nil {
		t.Fatal(err)
	}
	url := browser.Program(t, "scripts", "-dir", dir).URL
	grace, ada := visitScripts(b, url), visitScripts(b, url)
	ada.Screenshot("scripts-empty")
	openRoute(grace, "/chat/{room}", "/chat/lobby?name=Grace")
	for range 3 {
		ada.Click("#start-device")
	}
	ada.Count("#readings li", 3)
	openRoute(ada, "/devices/{id}", "/devices/boiler")
	ada.Click("#samples button:nth-child(3)")
	openRoute(ada, "/bytes", "/bytes")
	ada.Click("#samples button")
	ada.Shows("#talk .said", "ff 03 02 01")
	openRoute(ada, "/chat/{room}", "/chat/lobby?name=Ada")
	say(ada, "Good morning, Grace")
	say(grace, "Good morning! This room is thirty lines of Lua.")
	ada.Shows("#talk .said", "thirty lines")
	ada.Shows("#log .what", "Ada came into lobby")
	ada.Until(
		`document.querySelector("#readings polyline").getAttribute("points").split(" ").length >= 12`)
	shoot := func(what string) {
		for _, scheme := range []string{"light", "dark"} {
			ada.Scheme(scheme)
			for _, size := range []struct{ width, height int64 }{{1280, 900}, {360, 740}} {
				ada.Size(size.width, size.height)
				ada.Fits()
				ada.Screenshot(fmt.Sprintf("scripts-%s-%s-%d", what, scheme, size.width))
			}
		}
	}
	shoot("serving")
	writeScript(t, dir, "endpoints/chat.lua",
		"--#ENDPOINT WEBSOCKET /chat/{room}\nif websocketInfo.type = \"open\" then\n  return "+
			"\"hello\"\nend\n")
	writeScript(t, dir, "modules/rooms.lua", "rooms = {\n  size = 10\n  open = true\n}\n")
	ada.Shows("#problems", "modules/rooms.lua:3")
	shoot("refused")
}
