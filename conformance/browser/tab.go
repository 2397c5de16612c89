package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// A Tab is one page in a browser. Its methods fail the test when the page does
// not do what they ask, and say what it shows instead.
//
// An exception that the page does not catch, and everything it logs as an error,
// fails the test at its end; see [Tab.Allow].
type Tab struct {
	t   testing.TB
	ctx context.Context

	mu      sync.Mutex
	allowed []string // guarded by mu
	errors  []string // guarded by mu
}

// Do runs actions of chromedp; what says in a failure what was tried.
func (tab *Tab) Do(what string, actions ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	if err := tab.try(actions...); err != nil {
		tab.t.Fatalf("%s: %v\nThe page shows:\n%s", what, err, tab.visible())
	}
}

func (tab *Tab) try(actions ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	return chromedp.Do(ctx, actions...)
}

// value is the value of a JavaScript expression.
func value[T any](tab *Tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression))
}

// visible is the text of the page, for failures.
func (tab *Tab) visible() string {
	text, err := value[string](tab, `document.body?.innerText ?? ""`)
	if err != nil {
		return "(" + err.Error() + ")"
	}
	return text
}

// Until waits until the JavaScript expression is true, also where that takes another page,
// to which the tab is on its way.
func (tab *Tab) Until(expression string) {
	tab.t.Helper()
	poll := chromedp.Poll[chromedp.Void]("!!("+expression+")",
		chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(patience))
	end := time.Now().Add(patience)
	err := tab.try(poll)
	for err != nil && pageLeft(err) && time.Now().Before(end) {
		err = tab.try(poll)
	}
	if err != nil {
		tab.t.Fatalf("wait until %s: %v\nThe page shows:\n%s", expression, err, tab.visible())
	}
}

// pageLeft reports whether an action failed because its page is no longer there.
func pageLeft(err error) bool {
	for _, text := range []string{"Cannot find context", "navigated or closed",
		"context was destroyed", "frame was detached"} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

// Shows waits until the text of an element that matches the CSS selector
// contains the text.
func (tab *Tab) Shows(selector, text string) {
	tab.t.Helper()
	tab.Until(fmt.Sprintf(`[...document.querySelectorAll(%s)].some(e => e.textContent.includes(%s))`,
		quote(selector), quote(text)))
}

// Hides waits until no element that matches the selector contains the text.
func (tab *Tab) Hides(selector, text string) {
	tab.t.Helper()
	tab.Until(fmt.Sprintf(`![...document.querySelectorAll(%s)].some(e => e.textContent.includes(%s))`,
		quote(selector), quote(text)))
}

// Count waits until n elements match the selector.
func (tab *Tab) Count(selector string, n int) {
	tab.t.Helper()
	tab.Until(fmt.Sprintf(`document.querySelectorAll(%s).length === %d`, quote(selector), n))
}

// Click clicks the first element that matches the selector, once it can be seen
// and is enabled.
func (tab *Tab) Click(selector string) {
	tab.t.Helper()
	tab.Do("click "+selector, chromedp.WaitVisible(chromedp.CSS(selector)),
		chromedp.WaitEnabled(chromedp.CSS(selector)), chromedp.Click(chromedp.CSS(selector)))
}

// Type replaces what is in a field with the text, key by key.
func (tab *Tab) Type(selector, text string) {
	tab.t.Helper()
	tab.Do(fmt.Sprintf("type %q into %s", text, selector),
		chromedp.WaitVisible(chromedp.CSS(selector)),
		chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.querySelector(%s).value = ""`,
			quote(selector))),
		chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Choose chooses the option with the value in a select element.
func (tab *Tab) Choose(selector, value string) {
	tab.t.Helper()
	tab.Until(
		fmt.Sprintf(`document.querySelector(%s + " option[value=" + CSS.escape(%s) + "]") !== null`,
			quote(selector), quote(value)))
	tab.Do("choose "+value, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(
		`{ const e = document.querySelector(%s); e.value = %s;
		e.dispatchEvent(new Event("change", {bubbles: true})); }`,
		quote(selector), quote(value))))
}

// String returns the value of a JavaScript expression, which is a string.
func (tab *Tab) String(expression string) string {
	tab.t.Helper()
	s, err := value[string](tab, expression)
	if err != nil {
		tab.t.Fatalf("evaluate %s: %v\nThe page shows:\n%s", expression, err, tab.visible())
	}
	return s
}

// Size makes the page so wide and high, in CSS pixels.
func (tab *Tab) Size(width, height int64) {
	tab.t.Helper()
	tab.Do("resize", chromedp.EmulateViewport(width, height))
}

// Scheme makes the browser prefer "light" or "dark" pages.
func (tab *Tab) Scheme(scheme string) {
	tab.t.Helper()
	params := emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	}
	if _, err := chromedp.Call(tab.ctx, emulation.SetEmulatedMedia, params); err != nil {
		tab.t.Fatalf("prefer %s: %v", scheme, err)
	}
}

// Fits fails the test if the page is wider than the tab.
func (tab *Tab) Fits() {
	tab.t.Helper()
	tab.Until(`document.documentElement.scrollWidth <= window.innerWidth`)
}

// Screenshot writes a picture of the whole page for people to look at into the
// directory that the environment's SCREENSHOTS names; without it, it only checks
// that there is a picture.
func (tab *Tab) Screenshot(name string) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		tab.t.Fatalf("screenshot %s: %v", name, err)
	}
	if !strings.HasPrefix(string(png), "\x89PNG") {
		tab.t.Fatalf("screenshot %s: %d bytes, not a PNG", name, len(png))
	}
	if dir := os.Getenv("SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
			tab.t.Fatal(err)
		}
	}
}

// Allow makes errors that contain the text no failure. A page that shows refused
// requests has them in its log: the browser writes them there.
func (tab *Tab) Allow(text string) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	tab.allowed = append(tab.allowed, text)
}

// event collects what goes wrong in the page.
func (tab *Tab) event(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if o := e.ExceptionDetails.Exception; o != nil {
			text += " " + o.Description
		}
		tab.add(text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert {
			args, _ := json.Marshal(e.Args)
			tab.add("console: " + string(args))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			tab.add(e.Entry.Text + " " + e.Entry.URL)
		}
	}
}

func (tab *Tab) add(text string) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	tab.errors = append(tab.errors, text)
}

func (tab *Tab) report() {
	tab.mu.Lock()
	defer tab.mu.Unlock()
next:
	for _, e := range tab.errors {
		for _, text := range tab.allowed {
			if strings.Contains(e, text) {
				continue next
			}
		}
		tab.t.Errorf("the page reports: %s", e)
	}
}

// quote writes a string as JavaScript.
func quote(s string) string {
	b, _ := json.Marshal(s) // cannot fail
	return string(b)
}
