package browser_test

import (
	"fmt"

	"github.com/wsgateway/gateway/conformance/browser"
)

// markup is what somebody writes who hopes that it is read as HTML. A browser
// that did would also ask for the picture, and log that there is none.
const markup = "<img src=x>"

// noMarkup waits until the page has no picture but its own.
func noMarkup(tab *browser.Tab) {
	tab.Count("img", 1)
	tab.Count("header > img", 1)
}

// ownOnly waits until all that the page has asked for is of its own server. What
// else it may ask for its Content-Security-Policy forbids, and the browser logs
// as an error.
func ownOnly(tab *browser.Tab) {
	tab.Until(`performance.getEntriesByType("resource").length >= 3 &&
		performance.getEntriesByType("resource").every(e => new URL(e.name).origin === location.origin)`)
}

// focused waits until the focus is on the first element that matches the selector.
func focused(tab *browser.Tab, selector string) {
	tab.Until(fmt.Sprintf("document.activeElement === document.querySelector(%q)", selector))
}
