// Package browser drives the pages of the examples in a real browser.
//
// A test starts a program with [Program] and a browser with [Start], opens tabs,
// and says what it expects the page to show. Where there is no Chromium the test
// is skipped, aloud. The go command does not see when a program changes, and would
// report an older result: run these tests with -count=1.
package browser

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// patience is how long a page may take to show what a test waits for.
const patience = 30 * time.Second

// names are those that Chromium is installed under.
var names = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
	"chrome"}

// A Browser is a headless Chromium. All tests of a program share one process; what a page
// keeps is its tab's own.
type Browser struct {
	t   testing.TB
	ctx context.Context // of the first tab, which stays empty
}

// A chromium is the process, and the directory with its profile and the programs.
type chromium struct {
	mu     sync.Mutex
	dir    string          // guarded by mu; "" until it is needed
	ctx    context.Context // guarded by mu; nil until the process is needed
	cancel func()          // guarded by mu; waits for the process
}

var shared chromium

// Main runs the tests of a package and ends the browser that they have used.
func Main(m *testing.M) {
	code := m.Run()
	shared.end()
	os.Exit(code)
}

// folder returns the directory. Main removes it.
func (c *chromium) folder() (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.folderLocked()
}

func (c *chromium) folderLocked() (dir string, err error) {
	if c.dir == "" {
		c.dir, err = os.MkdirTemp("", "browser")
	}
	return c.dir, err
}

// run returns the context of the process, which it starts if it does not run, as after a
// test in which it has crashed.
func (c *chromium) run(path string) (context.Context, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx != nil && c.ctx.Err() == nil {
		return c.ctx, nil
	}
	dir, err := c.folderLocked()
	if err != nil {
		return nil, err
	}
	profile, err := os.MkdirTemp(dir, "profile")
	if err != nil {
		return nil, err
	}
	if c.cancel != nil {
		c.cancel()
	}
	ctx, stop := chromedp.NewExecAllocator(context.Background(), flags(path, profile)...)
	ctx, cancel := chromedp.NewContext(ctx)
	c.ctx, c.cancel = ctx, func() {
		cancel()
		stop()
	}
	return c.ctx, chromedp.Do(ctx)
}

func (c *chromium) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel != nil {
		c.cancel()
	}
	if c.dir != "" {
		_ = os.RemoveAll(c.dir)
	}
}

// Find returns the path of a Chromium: the environment's CHROMIUM, or what is in
// PATH. It returns an error where there is none.
func Find() (string, error) {
	if path := os.Getenv("CHROMIUM"); path != "" {
		return path, nil
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no Chromium in PATH, and CHROMIUM is not set")
}

// Start returns the browser for a test, and starts it for the first one. It skips the test
// where there is none.
func Start(t testing.TB) *Browser {
	t.Helper()
	path, err := Find()
	if err != nil {
		t.Skipf("NOT TESTED in a browser: %v", err)
	}
	ctx, err := shared.run(path)
	if err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return &Browser{t: t, ctx: ctx}
}

func flags(path, profile string) []chromedp.ExecAllocatorOption {
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(profile), chromedp.WindowSize(1280, 900),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
	}
	for _, flag := range []string{
		"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync",
		"no-default-browser-check", "disable-dev-shm-usage",
		// A page in the back must not be slower than the one in front.
		"disable-background-timer-throttling", "disable-renderer-backgrounding",
		"disable-backgrounding-occluded-windows",
	} {
		options = append(options, chromedp.Flag(flag, true))
	}
	return options
}

// Tab opens a tab at the address and waits until the page is loaded. It has
// storage and cookies of its own, as with another user.
func (b *Browser) Tab(url string) *Tab {
	b.t.Helper()
	return b.open(url, chromedp.WithNewBrowserContext())
}

// Beside opens a tab that shares storage and cookies with the first.
func (b *Browser) Beside(first *Tab, url string) *Tab {
	b.t.Helper()
	return b.open(url,
		chromedp.WithExistingBrowserContext(chromedp.FromContext(first.ctx).BrowserContextID))
}

func (b *Browser) open(url string, option chromedp.ContextOption) *Tab {
	b.t.Helper()
	tab := &Tab{t: b.t}
	ctx, cancel := chromedp.NewContext(b.ctx, option, chromedp.WithListener(tab.event))
	tab.ctx = ctx
	// The first call makes the tab, which lives as long as that call's context.
	if err := chromedp.Do(ctx); err != nil {
		cancel()
		b.t.Fatalf("open a tab: %v", err)
	}
	b.t.Cleanup(cancel)
	b.t.Cleanup(tab.report)
	tab.Do("open "+url, chromedp.Navigate(url))
	return tab
}

// Close closes the tab, as its user would.
func (tab *Tab) Close() {
	tab.t.Helper()
	id := chromedp.FromContext(tab.ctx).Target.TargetID
	if _, err := chromedp.CallBrowser(tab.ctx, target.CloseTarget,
		target.CloseTargetParams{TargetID: id}); err != nil {
		tab.t.Fatalf("close the tab: %v", err)
	}
}
