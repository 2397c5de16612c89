// Package source reads the files of a solution: it finds the endpoints, the
// modules and the event handler, and reports everything that is wrong with
// them by file and line. It knows nothing of the Lua language; to it a script
// is text between two header lines.
package source

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Solution is what [Read] or [ParseText] found. It is usable only if Problems
// is empty; Warnings are for the person who deploys it.
type Solution struct {
	Endpoints []Endpoint // by path of the file, then by line
	Modules   []Module   // in the order in which they are to be run
	Handler   *Script    // the websocket_info handler; nil for the default routing
	Events    []Event    // handlers of all other events, by path of the file, then by line

	Warnings []Note // in order of file and line
	Problems []Note // in order of file and line
}

// Routes returns the patterns that the solution serves: those of its endpoints
// or, if there is none but a handler, "/", which is every path.
func (s *Solution) Routes() []string {
	if len(s.Endpoints) == 0 && s.Handler != nil {
		return []string{"/"}
	}
	routes := make([]string, len(s.Endpoints))
	for i, ep := range s.Endpoints {
		routes[i] = ep.Pattern
	}
	return routes
}

// A Script is a piece of Lua and the place it comes from.
type Script struct {
	File string // slash-separated, relative to the root of the solution
	Line int    // of the first line of Body in File, from 1
	Body string // lines end in "\n"; line n of it is line Line+n-1 of File
}

// An Endpoint is the script of one route.
type Endpoint struct {
	Script
	Pattern     string // as written: "/path/{param}"; valid if there are no problems
	ContentType string // what follows the path in the header; "" if nothing does
	HeaderLine  int    // of the header in File, from 1; 0 if there is none
}

// An Event is the handler of an event that is none of a socket's.
type Event struct {
	Script
	Service, Name string // as written, as in "timer" and "timer"
	HeaderLine    int    // of the header in File, from 1; 0 if the file's name says which event it is
}

// Key is the name under which a handler is found: case does not matter.
func (e Event) Key() string { return EventKey(e.Service, e.Name) }

// EventKey returns the key of an event's handler.
func EventKey(service, event string) string { return strings.ToLower(service + " " + event) }

// Handlers returns all scripts that are not those of endpoints and no modules.
func (s *Solution) Handlers() []Script {
	var all []Script
	if s.Handler != nil {
		all = append(all, *s.Handler)
	}
	for _, e := range s.Events {
		all = append(all, e.Script)
	}
	return all
}

// A Module is a file that runs before the endpoint scripts.
type Module struct {
	Script
	Name string // for require: path below modules/ without ".lua", "." for "/"
}

// A Note is a warning or a problem.
type Note struct {
	File string
	Line int // from 1
	Text string
}

// String returns "FILE:LINE: text".
func (n Note) String() string { return fmt.Sprintf("%s:%d: %s", n.File, n.Line, n.Text) }

func compareNotes(a, b Note) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
		cmp.Compare(a.Text, b.Text))
}

func (s *Solution) warn(file string, line int, format string, args ...any) {
	s.Warnings = append(s.Warnings, Note{file, line, fmt.Sprintf(format, args...)})
}

func (s *Solution) problem(file string, line int, format string, args ...any) {
	s.Problems = append(s.Problems, Note{file, line, fmt.Sprintf(format, args...)})
}

// finish checks what concerns the solution as a whole.
func (s *Solution) finish() {
	s.checkRoutes()
	s.checkModules()
	s.checkEvents()
	if len(s.Endpoints)+len(s.Modules)+len(s.Events) == 0 && s.Handler == nil && len(s.Problems) == 0 {
		s.problem(".", 1,
			"the solution is empty: expected a line %q above an endpoint, or %q above an event handler",
			"--#ENDPOINT WEBSOCKET /path", "--#EVENT websocket websocket_info")
	}
	slices.SortStableFunc(s.Warnings, compareNotes)
	slices.SortStableFunc(s.Problems, compareNotes)
}

// checkRoutes reports invalid patterns and those between which no path could
// choose.
func (s *Solution) checkRoutes() {
	if len(s.Endpoints) > maxEndpoints {
		ep := s.Endpoints[maxEndpoints]
		s.problem(ep.File, ep.HeaderLine, "expected at most %d endpoints in a solution, found %d",
			maxEndpoints, len(s.Endpoints))
		return
	}
	routes := make([]pattern, 0, len(s.Endpoints))
	owners := make([]Endpoint, 0, len(s.Endpoints))
	for _, ep := range s.Endpoints {
		p, err := parsePattern(ep.Pattern)
		if err != nil {
			s.problem(ep.File, ep.HeaderLine, "path %.200q: %v", ep.Pattern, err)
			continue
		}
		for i, other := range routes {
			if text := conflict(other, p); text != "" {
				o := owners[i]
				s.problem(ep.File, ep.HeaderLine, "path %.200q %s %.200q at %s:%d; expected each path once",
					ep.Pattern, text, o.Pattern, o.File, o.HeaderLine)
				break
			}
		}
		routes, owners = append(routes, p), append(owners, ep)
	}
}

// checkModules reports files that have the same name for require.
func (s *Solution) checkModules() {
	files := make(map[string]string, len(s.Modules))
	for _, m := range s.Modules {
		if first, ok := files[m.Name]; ok {
			s.problem(m.File, 1, "module %q is also the name of %s; expected each name once", m.Name, first)
			continue
		}
		files[m.Name] = m.File
	}
}

// checkEvents drops handlers of events that have one already: other files may go on
// without them.
func (s *Solution) checkEvents() {
	first := make(map[string]Event, len(s.Events))
	kept := s.Events[:0]
	for _, e := range s.Events {
		if o, ok := first[e.Key()]; ok {
			s.warn(e.File, max(1, e.HeaderLine),
				"event handler skipped: expected one of %.80s %.80s, the first is at %s:%d",
				e.Service, e.Name, o.File, o.Line)
			continue
		}
		first[e.Key()] = e
		kept = append(kept, e)
	}
	s.Events = kept
}
