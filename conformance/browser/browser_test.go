package browser_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/wsgateway/gateway/conformance/browser"
)

const page = `<!doctype html><title>a page</title><link rel=icon href="data:,">
<form><input id=who><select id=kind><option value=a>A<option value=b>B</select>
<button>Go</button></form>
<p id=said></p><p id=scheme></p>
<script>
const $ = id => document.getElementById(id);
document.forms[0].addEventListener("submit", e => {
	e.preventDefault();
	$("said").textContent = $("who").value + "/" + $("kind").value;
	if ($("who").value === "") throw new Error("nobody");
});
const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", () => $("scheme").textContent = dark.matches ? "dark" : "light");
</script>`

func serve(t *testing.T) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, page)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestMain(m *testing.M) { browser.Main(m) }

func TestTab(t *testing.T) {
	tab := browser.Start(t).Tab(serve(t))
	tab.Type("#who", "Ada")
	tab.Choose("#kind", "b")
	tab.Click("button")
	tab.Shows("#said", "Ada/b")
	tab.Hides("#said", "nobody")
	tab.Count("p", 2)
	tab.Scheme("dark")
	tab.Shows("#scheme", "dark")
	tab.Size(360, 640)
	tab.Fits()
	tab.Screenshot("tab")
	if got := tab.String("document.title"); got != "a page" {
		t.Errorf("title = %q, want %q", got, "a page")
	}
}

// A recorder takes the failures and cleanups of what it stands in for.
type recorder struct {
	testing.TB
	failures []string
	cleanups []func()
}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func (r *recorder) end() {
	for i := len(r.cleanups) - 1; i >= 0; i-- {
		r.cleanups[i]()
	}
}

func TestErrorsOfThePageFail(t *testing.T) {
	rec := &recorder{TB: t}
	url := serve(t)
	b := browser.Start(rec)
	for _, allowed := range []string{"", "nobody"} {
		tab := b.Tab(url)
		if allowed != "" {
			tab.Allow(allowed)
		}
		tab.Click("button")
		tab.Shows("#said", "/a")
	}
	rec.end()
	if len(rec.failures) != 1 || !strings.Contains(rec.failures[0], "nobody") {
		t.Errorf("failures = %q, want one: the exception that was not allowed", rec.failures)
	}
}
