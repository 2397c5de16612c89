package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// A folder is what a directory at the root of a solution holds.
type folder uint8

const (
	flat      folder = iota // the root itself: files of endpoints and handlers
	endpoints               // the same, subfolders included
	modules
	handlers
	unknown
)

// folders are the names a solution's directories may have: those of the
// contract and those under which projects of the original platform keep the
// same files.
var folders = map[string]folder{
	"endpoints":      endpoints,
	"endpoint":       endpoints,
	"routes":         endpoints,
	"modules":        modules,
	"module":         modules,
	"event_handler":  handlers,
	"event_handlers": handlers,
	"eventhandlers":  handlers,
	"services":       handlers,
}

// Read reads a solution: files of endpoints in endpoints/ or at the root,
// modules in modules/, event handlers in event_handler/, subfolders included.
// Only regular files named *.lua count, in any case, and none whose path has a part
// that begins with a dot. Tests, *_test.lua and *_spec.lua, are left out with a
// warning.
//
// It always returns a Solution; what went wrong, reading included, is in its
// Problems.
func Read(fsys fs.FS) *Solution {
	s := &Solution{}
	total := 0
	for _, file := range s.list(fsys) {
		data, err := readFile(fsys, file)
		if err != nil {
			s.problem(file, 1, "expected a readable file of at most %d bytes: %v", MaxFileSize, reason(err))
			continue
		}
		if total += len(data); total > maxTotalSize {
			s.problem(file, 1, "expected at most %d bytes in all files", maxTotalSize)
			break
		}
		if text, ok := s.clean(file, data); ok {
			s.add(file, text)
		}
	}
	s.finish()
	return s
}

// list returns the paths of the solution's files in lexical order.
func (s *Solution) list(fsys fs.FS) []string {
	var files []string
	strays := map[string]bool{} // unknown folders that were warned of
	err := fs.WalkDir(fsys, ".", func(file string, d fs.DirEntry, err error) error {
		hidden := file != "." && strings.HasPrefix(path.Base(file), ".")
		switch {
		case hidden && d != nil && d.IsDir():
			return fs.SkipDir
		case hidden:
			return nil
		case err != nil:
			s.problem(file, 1, "expected a readable folder: %v", reason(err))
			return nil
		case d.IsDir():
			return nil
		case !strings.EqualFold(path.Ext(file), ".lua"):
			if lower := strings.ToLower(file); strings.Contains(path.Base(lower), ".lua") &&
				!strings.HasSuffix(file, "~") {
				s.warn(file, 1, "file skipped: expected a name that ends in .lua")
			}
			return nil
		}
		kind, top := place(file)
		if kind == unknown {
			if !strays[top] {
				s.warn(file, 1, "files in %s/ are skipped: expected endpoints/, modules/ or event_handler/",
					top)
			}
			strays[top] = true
			return nil
		}
		if isTest(file) {
			s.warn(file, 1, "file skipped: its name is that of a test")
			return nil
		}
		if len(files) == maxFiles {
			s.problem(file, 1, "expected at most %d files", maxFiles)
			return fs.SkipAll
		}
		files = append(files, file)
		return nil
	})
	if err != nil {
		s.problem(".", 1, "expected a readable folder: %v", reason(err))
	}
	slices.Sort(files)
	return files
}

// place returns the kind and the name of the directory at the root under which
// the file lies.
func place(file string) (folder, string) {
	top, _, nested := strings.Cut(file, "/")
	if !nested {
		return flat, ""
	}
	if kind, ok := folders[strings.ToLower(top)]; ok {
		return kind, top
	}
	return unknown, top
}

func isTest(file string) bool {
	name := trimLua(strings.ToLower(file))
	return strings.HasSuffix(name, "_test") || strings.HasSuffix(name, "_spec")
}

// readFile looks before it opens: opening a pipe waits for somebody to write into it.
func readFile(fsys fs.FS, file string) ([]byte, error) {
	if info, err := fs.Stat(fsys, file); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := fsys.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxFileSize+1))
	if err == nil && len(data) > MaxFileSize {
		err = fmt.Errorf("it has %d", max(info.Size(), MaxFileSize+1))
	}
	return data, err
}

// reason is the error without the path, which the note already has.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// add takes a file in.
func (s *Solution) add(file, text string) {
	kind, top := place(file)
	switch kind {
	case modules:
		s.Modules = append(s.Modules,
			Module{Script{file, 1, unhash(text)}, ModuleName(file[len(top)+1:])})
	case handlers:
		s.addHandler(file, text, eventOf(file[len(top)+1:]))
	default:
		s.parseBlocks(file, text)
	}
}

// addHandler takes in a file of event handlers. One without header lines is
// the handler that its name says, as in timer_timer.lua: what comes before the first
// "_" is the service.
func (s *Solution) addHandler(file, text, event string) {
	switch {
	case hasHeader(text):
		s.parseBlocks(file, text)
	case event == "websocket_websocket_info" || event == "websocket_info" || event == "websocket":
		s.setHandler(Script{file, 1, text})
	default:
		if service, name, ok := strings.Cut(event, "_"); ok && service != "" && name != "" {
			s.Events = append(s.Events, Event{Script{file, 1, text}, service, name, 0})
			return
		}
		s.warn(file, 1,
			"event handler skipped: expected the name websocket_websocket_info.lua or a line %q",
			"--#EVENT websocket websocket_info")
	}
}

// eventOf returns the event that a path below the folder of handlers names.
func eventOf(file string) string {
	name := trimLua(strings.ToLower(file))
	name = strings.NewReplacer("/", "_", "-", "_", ".", "_", " ", "_").Replace(name)
	return strings.TrimPrefix(name, "handle_")
}

// ModuleName returns the form of a module's name that [Module] has: parts
// joined by dots, whether a script wrote them so or as a path.
func ModuleName(name string) string { return strings.ReplaceAll(trimLua(name), "/", ".") }

// trimLua takes the ending away, in any case.
func trimLua(name string) string {
	if strings.EqualFold(path.Ext(name), ".lua") {
		return name[:len(name)-len(".lua")]
	}
	return name
}

// unhash makes a comment of a first line that begins with "#", as the Lua
// program does for files.
func unhash(text string) string {
	if strings.HasPrefix(text, "#") {
		return "--" + text
	}
	return text
}
