package source

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// The limits of a solution. Deploying one reads and compiles all of it.
const (
	MaxFileSize  = 1 << 20  // bytes in one file
	maxTotalSize = 32 << 20 // bytes in all files
	maxFiles     = 10_000
	maxEndpoints = 4_096
)

// ParseText reads one file of endpoints from a string; file is its name in
// notes. The text needs header lines, as a file does.
func ParseText(file, text string) *Solution {
	s := &Solution{}
	if body, ok := s.clean(file, []byte(text)); ok {
		s.parseBlocks(file, body)
	}
	s.finish()
	return s
}

// ParseBody returns the endpoint of one route whose script is the whole of
// text, or, if text holds header lines, the only endpoint in it, which must
// then be that of the pattern.
func ParseBody(file, pattern, text string) *Solution {
	s := &Solution{}
	body, ok := s.clean(file, []byte(text))
	switch {
	case !ok:
	case hasHeader(body):
		s.parseBlocks(file, body)
		for _, ep := range s.Endpoints {
			if ep.Pattern != pattern || len(s.Endpoints) > 1 {
				s.problem(file, ep.HeaderLine, "expected one endpoint, that of %.200q, found %.200q", pattern,
					ep.Pattern)
			}
		}
		if s.Handler != nil {
			s.problem(file, s.Handler.Line, "expected an endpoint, found an event handler")
		}
		for _, e := range s.Events {
			s.problem(file, e.HeaderLine, "expected an endpoint, found an event handler")
		}
	default:
		s.Endpoints = []Endpoint{{Script: Script{file, 1, body}, Pattern: pattern}}
	}
	s.finish()
	return s
}

func hasHeader(text string) bool {
	for line := range strings.Lines(text) {
		if _, ok := parseHeader(strings.TrimSuffix(line, "\n")); ok {
			return true
		}
	}
	return false
}

// clean returns the text of a file without byte order mark and with "\n" at
// the ends of its lines, which is what Lua makes of "\r\n" too.
func (s *Solution) clean(file string, data []byte) (string, bool) {
	if len(data) > MaxFileSize {
		s.problem(file, 1, "expected at most %d bytes in a file, found %d", MaxFileSize, len(data))
		return "", false
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		s.problem(file, 1, "expected UTF-8 text, found UTF-16")
		return "", false
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if bytes.HasPrefix(data, []byte("\x1bLua")) {
		s.problem(file, 1, "expected Lua source text, found a compiled chunk")
		return "", false
	}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		s.problem(file, 1+bytes.Count(data[:i], []byte("\n")),
			"expected Lua source text, found a NUL byte")
		return "", false
	}
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text, true
}

// parseBlocks takes a file apart at its header lines. What comes before the
// first belongs to nobody.
func (s *Solution) parseBlocks(file, text string) {
	var (
		take  func(body string) // gives the block that is being read its body
		start = 0               // of its body
		line  = 0
		at    = 0
		found = false
	)
	end := func(upto int) {
		if take != nil {
			take(text[start:upto])
		}
	}
	for l := range strings.Lines(text) {
		line++
		if h, ok := parseHeader(strings.TrimSuffix(l, "\n")); ok {
			end(at)
			found = true
			take, start = s.begin(file, line, h), at+len(l)
		} else if text := nearMiss(strings.TrimSuffix(l, "\n")); text != "" {
			s.warn(file, line, "%s", text)
		}
		at += len(l)
	}
	end(at)
	if !found && strings.TrimSpace(text) != "" {
		s.warn(file, 1, "nothing in this file runs: expected a line %q or %q",
			"--#ENDPOINT WEBSOCKET /path", "--#EVENT websocket websocket_info")
	}
}

// begin starts the block of a header and returns what is to be done with its
// body; nil if nothing is.
func (s *Solution) begin(file string, line int, h header) func(string) {
	if h.keyword == "EVENT" {
		return s.beginEvent(file, line, h)
	}
	return s.beginEndpoint(file, line, h)
}

func (s *Solution) beginEndpoint(file string, line int, h header) func(string) {
	var m string
	if len(h.words) > 0 {
		m = strings.ToUpper(h.words[0])
	}
	switch {
	case m == "" || strings.HasPrefix(m, "/"):
		s.problem(file, line, "expected a method after #ENDPOINT, as in %q",
			"--#ENDPOINT WEBSOCKET /path")
		return nil
	case methods[m]:
		s.warn(file, line, "endpoint skipped: expected method %s, found %s", method, m)
		return nil
	case m != method:
		s.problem(file, line, "unknown method %.40q: expected %s", h.words[0], method)
		return nil
	case len(h.words) == 1:
		s.problem(file, line, "expected a path after %s, as in %q", method, "--#ENDPOINT WEBSOCKET /path")
		return nil
	case !utf8.ValidString(h.words[1]):
		s.problem(file, line, "expected a path in UTF-8")
		return nil
	}
	ep := Endpoint{Pattern: h.words[1], ContentType: strings.Join(h.words[2:], " "), HeaderLine: line}
	if ep.ContentType != "" && !strings.Contains(h.words[2], "/") {
		s.warn(file, line,
			"%.80q ignored: expected a content type, such as text/plain, or nothing after the path",
			ep.ContentType)
		ep.ContentType = ""
	}
	return func(body string) {
		ep.Script = Script{file, line + 1, body}
		s.Endpoints = append(s.Endpoints, ep)
	}
}

func (s *Solution) beginEvent(file string, line int, h header) func(string) {
	service, event, ok := h.event(file)
	if !ok {
		s.problem(file, line, "expected a service and an event after #EVENT, as in %q",
			"--#EVENT websocket websocket_info")
		return nil
	}
	if len(h.words) > 2 {
		s.warn(file, line, "%.80q ignored: expected nothing after the event",
			strings.Join(h.words[2:], " "))
	}
	if !isWebsocketInfo(service, event) {
		return func(body string) {
			s.Events = append(s.Events, Event{Script{file, line + 1, body}, service, event, line})
		}
	}
	return func(body string) { s.setHandler(Script{file, line + 1, body}) }
}

func (s *Solution) setHandler(h Script) {
	if s.Handler != nil {
		s.problem(h.File, h.Line,
			"a second handler of websocket_info: expected one, the first is at %s:%d", s.Handler.File,
			s.Handler.Line)
		return
	}
	s.Handler = &h
}
