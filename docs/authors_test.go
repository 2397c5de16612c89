package docs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
	"github.com/wsgateway/gateway/lua"
	"github.com/wsgateway/gateway/lua/keystore"
)

// An example is a block of Lua and what the comments above it say:
//
//	<!-- path: P -->      the socket is opened on P
//	<!-- sends: TEXT -->  and sends these texts, one after the other
//	<!-- receives: X -->  it receives exactly these: a text, or "bytes" and hex
//	<!-- closes: CODE --> it is closed with CODE, not by its client with 1000
//	<!-- logs: WORD -->   the log has a failure with WORD
//	<!-- file: NAME -->   the block is a file of the next example
//	<!-- triggers: SERVICE EVENT JSON --> after the first text has come, the event is
//	                      triggered with this argument
//
// What its lines say after "-->" is what it prints, in this order.
type example struct {
	line     int
	code     string
	path     string
	sends    []string
	receives []string
	closes   string
	logs     string
	triggers []string
	files    map[string]string
}

var comment = regexp.MustCompile(`^<!-- (\w+): (.*) -->$`)

// examples returns those of a page.
func examples(t *testing.T, page string) []example {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var all []example
	next := example{path: "/example/7"}
	files, file, inside := map[string]string{}, "", false
	for i, line := range strings.Split(string(text), "\n") {
		switch m := comment.FindStringSubmatch(line); {
		case line == "```lua":
			inside, next.line = true, i+2
		case line == "```" && inside && file != "":
			files[file] = next.code
			next, file, inside = example{path: "/example/7"}, "", false
		case line == "```" && inside:
			next.files = files
			all = append(all, next)
			next, files, inside = example{path: "/example/7"}, map[string]string{}, false
		case inside:
			next.code += line + "\n"
		case m != nil && m[1] == "file":
			file = m[2]
		case m != nil:
			next.set(t, m[1], m[2])
		}
	}
	return all
}

func (e *example) set(t *testing.T, name, value string) {
	t.Helper()
	switch name {
	case "path":
		e.path = value
	case "sends":
		e.sends = append(e.sends, value)
	case "receives":
		e.receives = append(e.receives, value)
	case "closes":
		e.closes = value
	case "logs":
		e.logs = value
	case "triggers":
		e.triggers = append(e.triggers, value)
	default:
		t.Fatalf("unknown comment %q", name)
	}
}

// prints returns what the example says that it prints.
func (e *example) prints() []string {
	var all []string
	for line := range strings.Lines(strings.Join(slices.Sorted(maps.Values(e.files)), "") + e.code) {
		if _, text, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "--> "); ok {
			all = append(all, text)
		}
	}
	return all
}

// solution returns the files of the example. A block without a header line is
// an endpoint.
func (e *example) solution() fstest.MapFS {
	code := e.code
	if !strings.HasPrefix(code, "--#") {
		code = "--#ENDPOINT WEBSOCKET /example/{id}\n" + code
	}
	m := fstest.MapFS{"example.lua": {Data: []byte(code)}}
	for name, text := range e.files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

// TestAuthorsPage runs every example of the page for authors over a socket.
func TestAuthorsPage(t *testing.T) {
	all := examples(t, "lua-scripts.md")
	if len(all) < 25 {
		t.Fatalf("the page has %d examples", len(all))
	}
	for _, e := range all {
		if len(e.prints())+len(e.receives) == 0 && e.closes == "" && e.logs == "" {
			t.Errorf("line %d: the example states no result", e.line)
		}
		t.Run(fmt.Sprintf("line %d", e.line), e.run)
	}
}

func (e example) run(t *testing.T) {
	log := &printed{}
	gw := gateway.New(&gateway.Options{Logger: slog.New(slog.DiscardHandler),
		Limits: gateway.Limits{MessagesPerSecond: -1}})
	host := lua.New(gw, &lua.Options{
		Logger:   slog.New(log),
		Services: map[string]lua.Service{"Keystore": keystore.New(nil).Service()},
		Limits:   lua.Limits{Instructions: 1_000_000},
	})
	if _, err := host.Deploy(t.Context(), e.solution()); err != nil {
		t.Fatal(err)
	}
	p := gatewaytest.NewServer(t, gw).Dial(t, e.path)
	for _, text := range e.sends {
		p.Send(gateway.Text(text))
	}
	for i, want := range e.receives {
		if got := shown(p.Receive()); got != want {
			t.Errorf("received %s, want %s", got, want)
		}
		if i == 0 {
			trigger(t, host, e.triggers)
		}
	}
	if e.closes == "" {
		p.Close(1000, "")
	} else if code, _ := p.Closed(); fmt.Sprint(code) != e.closes {
		t.Errorf("closed with %d, want %s", code, e.closes)
	}
	if !p.Empty() {
		t.Errorf("received %s, which the example does not say", shown(p.Receive()))
	}
	if err := gw.Shutdown(context.Background()); err != nil { // waits for the close event
		t.Fatal(err)
	}
	lines, failures := log.all()
	if want := e.prints(); !slices.Equal(lines, want) {
		t.Errorf("printed\n\t%q\nwant\n\t%q", lines, want)
	}
	if e.logs == "" && len(failures) > 0 ||
		e.logs != "" &&
			!slices.ContainsFunc(failures, func(f string) bool { return strings.Contains(f, e.logs) }) {
		t.Errorf("failures %q, want %q", failures, e.logs)
	}
}

// trigger triggers events, each "SERVICE EVENT JSON".
func trigger(t *testing.T, host *lua.Host, events []string) {
	t.Helper()
	for _, e := range events {
		words := strings.SplitN(e, " ", 3)
		var arg any
		if err := json.Unmarshal([]byte(words[2]), &arg); err != nil {
			t.Fatal(err)
		}
		if _, err := host.Trigger(t.Context(), words[0], words[1], arg); err != nil {
			t.Error(err)
		}
	}
}

// shown is how the page writes a message.
func shown(m gateway.Message) string {
	if m.Type == gateway.MessageBinary {
		return fmt.Sprintf("bytes % x", m.Data)
	}
	return string(m.Data)
}

// printed takes what scripts print, without what they log for debugging, and
// how they fail.
type printed struct {
	slog.Handler // nil: nothing else is used

	mu       sync.Mutex
	lines    []string // guarded by mu
	failures []string // guarded by mu
}

func (p *printed) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}

func (p *printed) Handle(_ context.Context, r slog.Record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.Message != "script failed" {
		p.lines = append(p.lines, r.Message)
		return nil
	}
	var text bytes.Buffer
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&text, "%s ", a)
		return true
	})
	p.failures = append(p.failures, text.String())
	return nil
}

func (p *printed) all() (lines, failures []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lines, p.failures
}

// TestEveryNameIsDocumented compares the names that a script sees with those in
// the examples of the page.
func TestEveryNameIsDocumented(t *testing.T) {
	gw := gateway.New(&gateway.Options{Logger: slog.New(slog.DiscardHandler)})
	host := lua.New(gw, &lua.Options{
		Logger:   slog.New(slog.DiscardHandler),
		Services: map[string]lua.Service{"Keystore": keystore.New(nil).Service()},
	})
	_, err := host.DeployEndpoint(t.Context(), "/names", `
		if websocketInfo.type ~= "open" then return end
		local names = {}
		for name, value in pairs(_G) do
			names[#names + 1] = name
			if type(value) == "table" and name ~= "_G" then
				for member in pairs(value) do names[#names + 1] = name .. "." .. member end
			end
		end
		return json.array(names)`)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	m := gatewaytest.NewServer(t, gw).Dial(t, "/names").Receive()
	if err := json.Unmarshal(m.Data, &names); err != nil || len(names) < 100 {
		t.Fatalf("names = %s (%v)", m.Data, err)
	}
	page, err := os.ReadFile("lua-scripts.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !documented(string(page), name) {
			t.Errorf("%s is not on the page", name)
		}
	}
}

// documented reports whether the page has the name. json and JSON are one table.
func documented(page, name string) bool {
	if member, ok := strings.CutPrefix(strings.ToLower(name), "json."); ok {
		return strings.Contains(page, "`"+member+"`") || strings.Contains(page, "`json."+member)
	}
	return regexp.MustCompile(`\b` + regexp.QuoteMeta(name) + `\b`).MatchString(page)
}

// TestVMPage compiles the programs of the page about the VM. They are slow by
// intent, so they do not run.
func TestVMPage(t *testing.T) {
	all := examples(t, "lua-vm.md")
	if len(all) < 3 {
		t.Fatalf("the page has %d programs", len(all))
	}
	for _, e := range all {
		if problems := lua.Check(e.solution()); len(problems) > 0 {
			t.Errorf("line %d: %v", e.line, problems)
		}
	}
}
