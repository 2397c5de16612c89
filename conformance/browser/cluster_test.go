package browser_test

import (
	"fmt"
	"testing"

	"github.com/wsgateway/gateway/conformance/browser"
)

// People on different nodes talk to each other; one node is killed and another drained,
// and everybody is back elsewhere.
func TestCluster(t *testing.T) {
	b := browser.Start(t)
	url := browser.Program(t, "cluster").URL
	var tabs []*browser.Tab
	for range 3 {
		tab := b.Tab(url + "/")
		tab.Allow("502") // while a node is gone and the balancer has not noticed
		tab.Allow("WebSocket connection")
		tab.Allow("503")
		tab.Shows("#state", "connected to")
		tabs = append(tabs, tab)
	}
	said := 0
	talk := func() {
		t.Helper()
		for i, tab := range tabs {
			said++
			text := fmt.Sprintf("sentence %d of tab %d", said, i)
			tab.Type("#say input", text+"\r")
			for _, other := range tabs {
				other.Shows("#talk", text)
			}
		}
	}
	whole := func() {
		t.Helper()
		for _, tab := range tabs {
			tab.Until(`document.querySelectorAll("#nodes .up").length === 3 &&
				document.querySelectorAll("#nodes tr").length === 3`)
			tab.Count("#sockets li", 3)
			tab.Shows("#groups", "lounge: 3")
			tab.Shows("#state", "connected to")
		}
	}
	whole()
	talk()
	tabs[0].Screenshot("cluster-whole")
	tabs[0].Until(`new Set([...document.querySelectorAll("#sockets li")].
		map(li => li.textContent.slice(0, 10))).size === 3`) // one on each node

	own := `[...document.querySelectorAll("#nodes tr")].find(tr => tr.dataset.node === own.slice(0, 10))`
	for _, action := range []string{"kill -9", "drain"} {
		tabs[1].Until(own + ` !== undefined && (window.before = own) !== ""`)
		tabs[1].Until(`[...` + own + `.querySelectorAll("button")].
			find(b => b.textContent === ` + fmt.Sprintf("%q", action) + `).click() === undefined`)
		tabs[1].Until(`own !== "" && own !== window.before`)
		if action == "kill -9" {
			tabs[2].Shows("#nodes .lost", "lost")
			tabs[2].Screenshot("cluster-killed")
		}
		whole()
		talk()
	}
}
