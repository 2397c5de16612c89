package source_test

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/wsgateway/gateway/lua/internal/source"
)

// files makes a file system of pairs of path and content.
func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

// describe writes a solution as one line per thing in it.
func describe(s *source.Solution) string {
	var b strings.Builder
	for _, m := range s.Modules {
		fmt.Fprintf(&b, "module %s %s:%d %q\n", m.Name, m.File, m.Line, m.Body)
	}
	for _, ep := range s.Endpoints {
		fmt.Fprintf(&b, "endpoint %s [%s] %s:%d %q\n", ep.Pattern, ep.ContentType, ep.File, ep.Line,
			ep.Body)
	}
	if s.Handler != nil {
		fmt.Fprintf(&b, "handler %s:%d %q\n", s.Handler.File, s.Handler.Line, s.Handler.Body)
	}
	for _, e := range s.Events {
		fmt.Fprintf(&b, "event %s %s:%d %q\n", e.Key(), e.File, e.Line, e.Body)
	}
	for _, n := range s.Warnings {
		fmt.Fprintf(&b, "warning %v\n", n)
	}
	for _, n := range s.Problems {
		fmt.Fprintf(&b, "problem %v\n", n)
	}
	return b.String()
}

func lines(l ...string) string { return strings.Join(l, "\n") + "\n" }

func TestReadLayouts(t *testing.T) {
	for name, tc := range map[string]struct {
		fs   fstest.MapFS
		want string
	}{
		"folders": {
			files(
				"endpoints/chat.lua", "--#ENDPOINT WEBSOCKET /chat\nreturn 1\n",
				"endpoints/sub/b.lua", "--#ENDPOINT WEBSOCKET /b\nreturn 2",
				"modules/z.lua", "z = 1\n",
				"modules/a/x.lua", "#!/usr/bin/lua\nx = 1\n",
				"modules/a.lua", "a = 1\n",
				"event_handler/websocket_websocket_info.lua", "return 3\n",
				"README.md", "# not Lua",
			),
			lines(
				`module a modules/a.lua:1 "a = 1\n"`,
				`module a.x modules/a/x.lua:1 "--#!/usr/bin/lua\nx = 1\n"`,
				`module z modules/z.lua:1 "z = 1\n"`,
				`endpoint /chat [] endpoints/chat.lua:2 "return 1\n"`,
				`endpoint /b [] endpoints/sub/b.lua:2 "return 2\n"`,
				`handler event_handler/websocket_websocket_info.lua:1 "return 3\n"`,
			),
		},
		"flat": {
			files("a.lua", "--#ENDPOINT WEBSOCKET /a\n", "b.lua",
				"-- x\n--#EVENT websocket websocket_info\nreturn 1\n"),
			lines(`endpoint /a [] a.lua:2 ""`, `handler b.lua:3 "return 1\n"`),
		},
		"tests, names in capitals, names that are not quite": {
			files(
				"a.LUA", "--#ENDPOINT WEBSOCKET /a\n",
				"modules/A.Lua", "x = 1\n", "modules/a_test.lua", "error()", "modules/lib/b_SPEC.lua",
				"error()",
				"endpoints/a_test.lua", "x", "modules/notes.lua.txt", "x", "modules/old.lua~", "x",
				"modules/c.luac", "x",
			),
			lines(
				`module A modules/A.Lua:1 "x = 1\n"`,
				`endpoint /a [] a.LUA:2 ""`,
				`warning endpoints/a_test.lua:1: file skipped: its name is that of a test`,
				`warning modules/a_test.lua:1: file skipped: its name is that of a test`,
				`warning modules/c.luac:1: file skipped: expected a name that ends in .lua`,
				`warning modules/lib/b_SPEC.lua:1: file skipped: its name is that of a test`,
				`warning modules/notes.lua.txt:1: file skipped: expected a name that ends in .lua`,
			),
		},
		"handlers of one event twice": {
			files(
				"event_handler/timer_timer.lua", "return 1\n",
				"services/timer.lua", "--#EVENT timer\nreturn 2\n--#EVENT TIMER x\nreturn 3\n",
			),
			lines(
				`event timer timer event_handler/timer_timer.lua:1 "return 1\n"`,
				`event timer x services/timer.lua:4 "return 3\n"`,
				`warning services/timer.lua:1: event handler skipped: expected one of timer timer, the first is at event_handler/timer_timer.lua:1`,
			),
		},
		"several blocks and other methods in a file": {
			files("endpoints/all.lua", lines(
				"lost = true",
				"--#ENDPOINT WEBSOCKET /one/{id}",
				"return 1",
				"--#ENDPOINT GET /skipped",
				"return 'http'",
				"--#EVENT timer timer",
				"return 'timer'",
				"--#endpoint websocket /two/{rest...} text/plain",
				"",
				"return 2",
			)),
			lines(
				`endpoint /one/{id} [] endpoints/all.lua:3 "return 1\n"`,
				`endpoint /two/{rest...} [text/plain] endpoints/all.lua:9 "\nreturn 2\n"`,
				`event timer timer endpoints/all.lua:7 "return 'timer'\n"`,
				`warning endpoints/all.lua:4: endpoint skipped: expected method WEBSOCKET, found GET`,
			),
		},
		"handlers of other events by name, hidden files, unknown folders": {
			files(
				"a.lua", "--#ENDPOINT WEBSOCKET /a\n",
				"event_handler/device/datapoint.lua", "return 1",
				"event_handler/websocket/websocket_info.lua", "return 2",
				".hidden.lua", "\x00", ".git/x.lua", "\x00",
				"spec/one.lua", "x", "spec/two.lua", "x",
				"empty.lua", "\n", "notes.lua", "-- nothing here",
			),
			lines(
				`endpoint /a [] a.lua:2 ""`,
				`handler event_handler/websocket/websocket_info.lua:1 "return 2\n"`,
				`event device datapoint event_handler/device/datapoint.lua:1 "return 1\n"`,
				`warning notes.lua:1: nothing in this file runs: expected a line "--#ENDPOINT WEBSOCKET /path" or "--#EVENT websocket websocket_info"`,
				`warning spec/one.lua:1: files in spec/ are skipped: expected endpoints/, modules/ or event_handler/`,
			),
		},
		"the file's name is the service where the header names only the event": {
			files(
				"services/timer.lua", "--#EVENT websocket_info\nlost()\n",
				"services/websocket.lua", "--#EVENT fallback\nlost()\n--#EVENT websocket_info\nreturn 1\n",
			),
			lines(
				`handler services/websocket.lua:4 "return 1\n"`,
				`event timer websocket_info services/timer.lua:2 "lost()\n"`,
				`event websocket fallback services/websocket.lua:2 "lost()\n"`,
			),
		},
		"all problems at once": {
			files(
				"a.lua", lines(
					"--#ENDPOINT WEBSOCKET",
					"--#ENDPOINT",
					"--#ENDPOINT /path",
					"--#ENDPOINT WEBSOKET /path",
					"--#ENDPOINT WEBSOCKET path",
					"--#ENDPOINT WEBSOCKET /a{x}",
					"--#ENDPOINT WEBSOCKET /ok/{x}",
					"--#EVENT websocket",
					"--#EVENT websocket websocket_info",
				),
				"b.lua", "--#ENDPOINT WEBSOCKET /ok/{y}\n--#EVENT WebSocket WebSocket_Info\n",
				"c.lua", "one\ntwo\x00\n",
				"d.lua", "\x1bLua\x51",
				"e.lua", strings.Repeat("x", source.MaxFileSize+1),
				"f.lua", "\xff\xfeo\x00",
				"modules/m/n.lua", "", "modules/m.n.lua", "",
			),
			lines(
				`module m.n modules/m.n.lua:1 ""`,
				`module m.n modules/m/n.lua:1 ""`,
				`endpoint path [] a.lua:6 ""`,
				`endpoint /a{x} [] a.lua:7 ""`,
				`endpoint /ok/{x} [] a.lua:8 ""`,
				`endpoint /ok/{y} [] b.lua:2 ""`,
				`handler a.lua:10 ""`,
				`problem a.lua:1: expected a path after WEBSOCKET, as in "--#ENDPOINT WEBSOCKET /path"`,
				`problem a.lua:2: expected a method after #ENDPOINT, as in "--#ENDPOINT WEBSOCKET /path"`,
				`problem a.lua:3: expected a method after #ENDPOINT, as in "--#ENDPOINT WEBSOCKET /path"`,
				`problem a.lua:4: unknown method "WEBSOKET": expected WEBSOCKET`,
				`problem a.lua:5: path "path": expected "/" at its start`,
				`problem a.lua:6: path "/a{x}": expected {name} as a whole part between slashes, found "a{x}"`,
				`problem a.lua:8: expected a service and an event after #EVENT, as in "--#EVENT websocket websocket_info"`,
				`problem b.lua:1: path "/ok/{y}" is the same as "/ok/{x}" at a.lua:7; expected each path once`,
				`problem b.lua:3: a second handler of websocket_info: expected one, the first is at a.lua:10`,
				`problem c.lua:2: expected Lua source text, found a NUL byte`,
				`problem d.lua:1: expected Lua source text, found a compiled chunk`,
				fmt.Sprintf(`problem e.lua:1: expected a readable file of at most %d bytes: it has %d`,
					source.MaxFileSize, source.MaxFileSize+1),
				`problem f.lua:1: expected UTF-8 text, found UTF-16`,
				`problem modules/m/n.lua:1: module "m.n" is also the name of modules/m.n.lua; expected each name once`,
			),
		},
		"modules only": {
			files("modules/a.lua", "x = 1\n"),
			lines(`module a modules/a.lua:1 "x = 1\n"`),
		},
		"nothing": {
			files("modules/a.txt", "x = 1\n"),
			lines(
				`problem .:1: the solution is empty: expected a line "--#ENDPOINT WEBSOCKET /path" above an endpoint, or "--#EVENT websocket websocket_info" above an event handler`,
			),
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := describe(source.Read(tc.fs)); got != tc.want {
				t.Errorf("Read =\n%swant\n%s", got, tc.want)
			}
		})
	}
}

// broken fails to open or to list what it is asked for.
type broken struct {
	fs.FS
	name string
}

func (b broken) Open(name string) (fs.File, error) {
	if name == b.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("the disk is gone")}
	}
	return b.FS.Open(name)
}

func TestReadReportsWhatCannotBeRead(t *testing.T) {
	m := files("a.lua", "--#ENDPOINT WEBSOCKET /a\n", "endpoints/b.lua", "--#ENDPOINT WEBSOCKET /b\n")
	for name, want := range map[string]string{
		"a.lua": fmt.Sprintf("a.lua:1: expected a readable file of at most %d bytes: the disk is "+
			"gone", source.MaxFileSize),
		"endpoints": "endpoints:1: expected a readable folder: the disk is gone",
		".":         ".:1: expected a readable folder: the disk is gone",
	} {
		s := source.Read(broken{m, name})
		if len(s.Problems) != 1 || s.Problems[0].String() != want {
			t.Errorf("Read with a broken %s: problems %v, want %q", name, s.Problems, want)
		}
	}
}

func TestRoutes(t *testing.T) {
	for text, want := range map[string][]string{
		"--#ENDPOINT WEBSOCKET /a\n--#ENDPOINT WEBSOCKET /b\n":                  {"/a", "/b"},
		"--#EVENT websocket websocket_info\nreturn 1":                           {"/"},
		"--#EVENT websocket websocket_info\nreturn\n--#ENDPOINT WEBSOCKET /a\n": {"/a"},
	} {
		s := source.ParseText("a.lua", text)
		if got := s.Routes(); !slices.Equal(got, want) || len(s.Problems) > 0 {
			t.Errorf("routes of %q = %q, want %q; problems %v", text, got, want, s.Problems)
		}
	}
}
