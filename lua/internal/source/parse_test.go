package source_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/wsgateway/gateway/lua/internal/source"
)

const missedEndpoint = `warning a.lua:1: this line looks like a header and is none: expected "--#ENDPOINT WEBSOCKET /path"`

func TestHeaderForms(t *testing.T) {
	for line, want := range map[string]string{
		"--#ENDPOINT WEBSOCKET /p":                          "/p []",
		"--#endpoint websocket /p":                          "/p []",
		"--#Endpoint WebSocket /p":                          "/p []",
		"-- #ENDPOINT WEBSOCKET /p":                         "/p []",
		"--\t#ENDPOINT\tWEBSOCKET\t/p\t":                    "/p []",
		"-- # ENDPOINT  WEBSOCKET   /p":                     "/p []",
		"--# ENDPOINT WEBSOCKET /p":                         "/p []",
		"  --#ENDPOINT WEBSOCKET /p   ":                     "/p []",
		"\ufeff--#ENDPOINT WEBSOCKET /p":                    "/p []",
		"--#ENDPOINT WEBSOCKET /p\r":                        "/p []",
		"--#ENDPOINT WEBSOCKET /p text/plain":               "/p [text/plain]",
		"--#ENDPOINT WEBSOCKET /p text/html; charset=utf-8": "/p [text/html; charset=utf-8]",
		"--#ENDPOINT WEBSOCKET /p the listener":             `/p [] warning a.lua:1: "the listener" ignored: expected a content type, such as text/plain, or nothing after the path`,
		"--#ENDPOINT WEBSOCKET /{a}/b/{c...}":               "/{a}/b/{c...} []",
		"--#EVENT websocket websocket_info":                 "handler",
		"-- #event WEBSOCKET websocket_info \t":             "handler",
		"--#ENDPOINT get /p": "warning a.lua:1: endpoint skipped: " +
			"expected method WEBSOCKET, found GET",
		"-- #endpoint DELETE /p": "warning a.lua:1: endpoint skipped: expected method " +
			"WEBSOCKET, found DELETE",
		"--#EVENT device2 event":               "event device2 event",
		"-- #event Timer TIMER":                "event timer timer",
		"--#EVENT websocket_info":              "event a websocket_info",
		"--#EVENT websocket websocket_info v2": `handler warning a.lua:1: "v2" ignored: expected nothing after the event`,
		"--#EVENT websocket other":             "event websocket other",
		"-- #endpoint WEBSOKET /p":             `problem a.lua:1: unknown method "WEBSOKET": expected WEBSOCKET`,

		// Remarks, not headers.
		"-- #endpoint scripts of this file":  "",
		"-- #event handlers are elsewhere":   "",
		"--- #ENDPOINT WEBSOCKET /p":         "",
		"-- --#ENDPOINT WEBSOCKET /p":        "",
		"--[[#ENDPOINT WEBSOCKET /p":         "",
		"--#":                                "",
		"x = 1 --#ENDPOINT WEBSOCKET /p":     "",
		"--#TAGS user public":                "",
		"-- event handlers follow":           "",
		"-- the endpoint GET /p is not ours": "",
		"event = GET":                        "",
		"endpoint('GET', '/x')":              "",

		// Slips of the pen.
		"--#ENDPOINTS WEBSOCKET /p":        missedEndpoint,
		"--#ENPOINT WEBSOCKET /p":          missedEndpoint,
		"--#ENDPIONT WEBSOCKET /p":         missedEndpoint,
		"--#END_POINT WEBSOCKET /p":        missedEndpoint,
		"--#ENDPOINT: WEBSOCKET /p":        missedEndpoint,
		"--ENDPOINT WEBSOCKET /p":          missedEndpoint,
		"-- ENDPOINT WEBSOCKET /p":         missedEndpoint,
		"-- endpoint get /p text/plain":    missedEndpoint,
		"#ENDPOINT WEBSOCKET /p":           missedEndpoint,
		"-#ENDPOINT WEBSOCKET /p":          missedEndpoint,
		"--# ENDPOINT /p":                  missedEndpoint,
		"--#ENDPOINT:WEBSOCKET /p":         missedEndpoint,
		"--#ENDPOINT=WEBSOCKET /p":         missedEndpoint,
		"--##ENDPOINT WEBSOCKET /p":        missedEndpoint,
		"--#-ENDPOINT WEBSOCKET /p":        missedEndpoint,
		"\u2014#ENDPOINT WEBSOCKET /p":     missedEndpoint,
		"\u2013 #endpoint websocket /p":    missedEndpoint,
		"\u00a0--#ENDPOINT WEBSOCKET /p":   missedEndpoint,
		"--#\u200bENDPOINT WEBSOCKET /p":   missedEndpoint,
		"-- endpoint: see the other file":  "",
		"-- #endpoint=x, or so":            "",
		"--## endpoint notes":              "",
		"--EVENT websocket websocket_info": `warning a.lua:1: this line looks like a header and is none: expected "--#EVENT websocket websocket_info"`,
		"--#EVENTS device2 event":          `warning a.lua:1: this line looks like a header and is none: expected "--#EVENT device2 event"`,
		"--#EVNT timer timer":              `warning a.lua:1: this line looks like a header and is none: expected "--#EVENT timer timer"`,
		"-- EVENT device2 event":           "",
	} {
		var got []string
		s := source.ParseText("a.lua", line+"\nreturn 1\n")
		for _, ep := range s.Endpoints {
			got = append(got, ep.Pattern+" ["+ep.ContentType+"]")
			if ep.Line != 2 || ep.HeaderLine != 1 || ep.Body != "return 1\n" {
				t.Errorf("endpoint of %q = %+v, want its body from line 2", line, ep)
			}
		}
		if s.Handler != nil {
			got = append(got, "handler")
		}
		for _, e := range s.Events {
			got = append(got, "event "+e.Key())
		}
		for _, n := range s.Warnings {
			if !strings.Contains(n.Text, "nothing in this file runs") {
				got = append(got, "warning "+n.String())
			}
		}
		for _, n := range s.Problems {
			if !strings.Contains(n.Text, "the solution is empty") {
				got = append(got, "problem "+n.String())
			}
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("ParseText(%q) = %q, want %q", line, text, want)
		}
	}
}

func TestParseKeepsLines(t *testing.T) {
	s := source.ParseText("a.lua",
		"\ufeffone\r\n--#ENDPOINT WEBSOCKET /a\r\nthree\r\n\r\n--#ENDPOINT WEBSOCKET /b\r\nsix")
	if len(s.Endpoints) != 2 || len(s.Problems) > 0 {
		t.Fatalf("endpoints %+v, problems %v; want two, none", s.Endpoints, s.Problems)
	}
	if a := s.Endpoints[0]; a.Line != 3 || a.Body != "three\n\n" {
		t.Errorf("first body from line %d: %q, want line 3", a.Line, a.Body)
	}
	if b := s.Endpoints[1]; b.Line != 6 || b.Body != "six\n" {
		t.Errorf("second body from line %d: %q, want line 6", b.Line, b.Body)
	}
}

func TestParseBody(t *testing.T) {
	for text, want := range map[string]string{
		"return 1":                           "endpoint /p [] x:1 \"return 1\\n\"\n",
		"":                                   "endpoint /p [] x:1 \"\"\n",
		"--#ENDPOINT WEBSOCKET /p\nreturn 1": "endpoint /p [] x:2 \"return 1\\n\"\n",
		"--#ENDPOINT WEBSOCKET /q\nreturn 1": "endpoint /q [] x:2 \"return 1\\n\"\nproblem x:1: " +
			"expected one endpoint, that of \"/p\", found \"/q\"\n",
		"a\x00": "problem x:1: expected Lua source text, found a NUL byte\n",
		"--#EVENT websocket websocket_info": "handler x:2 \"\"\nproblem x:2: expected an endpoint, " +
			"found an event handler\n",
	} {
		if got := describe(source.ParseBody("x", "/p", text)); got != want {
			t.Errorf("ParseBody(%q) =\n%swant\n%s", text, got, want)
		}
	}
	if got := source.ParseBody("x", "p", "return 1").Problems; len(got) != 1 {
		t.Errorf(`ParseBody with pattern "p": problems %v, want one`, got)
	}
}

func TestModuleName(t *testing.T) {
	for name, want := range map[string]string{"a": "a", "a.lua": "a", "a/b.lua": "a.b", "a.b": "a.b"} {
		if got := source.ModuleName(name); got != want {
			t.Errorf("ModuleName(%q) = %q, want %q", name, got, want)
		}
	}
}

// FuzzParseText holds what every reader of a Solution relies on: no text makes
// the parser fail, bodies are whole lines of the file at the place they say,
// and notes name a line of the file.
func FuzzParseText(f *testing.F) {
	for _, seed := range []string{
		"--#ENDPOINT WEBSOCKET /a/{b}\nreturn 1\n--#EVENT websocket websocket_info\r\nprint(1)",
		"-- #endpoint get /x\n\n--#ENDPOINT WEBSOCKET /{a}/x text/plain\n--#ENDPOINT WEBSOCKET " +
			"/x/{b...}\n",
		"\ufeff--#ENDPOINT\n--#ENDPOINT x\n--#EVENT\n\x00",
		"\x1bLua", "\r\n\r\r\n--#EVENT a b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := source.ParseText("a.lua", text)
		clean := strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\r\n", "\n")
		file := strings.SplitAfter(clean+"\n", "\n")
		check := func(sc source.Script) {
			n := strings.Count(sc.Body, "\n")
			if sc.Line < 1 || sc.Line-1+n > len(file) {
				t.Fatalf("%q: body at line %d with %d lines is not in the file", text, sc.Line, n)
			}
			if got := strings.Join(file[sc.Line-1:sc.Line-1+n], ""); got != sc.Body {
				t.Errorf("%q: body at line %d is %q, the file has %q", text, sc.Line, sc.Body, got)
			}
		}
		for _, ep := range s.Endpoints {
			check(ep.Script)
			if ep.HeaderLine != ep.Line-1 {
				t.Errorf("%q: header at line %d, body at %d", text, ep.HeaderLine, ep.Line)
			}
			if len(s.Problems) == 0 && source.CheckPattern(ep.Pattern) != nil {
				t.Errorf("%q: pattern %q is invalid and not reported", text, ep.Pattern)
			}
		}
		for _, h := range s.Handlers() {
			check(h)
		}
		for _, n := range slices.Concat(s.Warnings, s.Problems) {
			if n.Line < 1 || n.Line > len(file) || n.Text == "" {
				t.Errorf("%q: note %v names no line of the file", text, n)
			}
		}
	})
}
