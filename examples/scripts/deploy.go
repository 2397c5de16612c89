package main

import (
	"bufio"
	"context"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wsgateway/gateway/lua"
)

// A state is what came of the latest attempt to deploy, and what serves.
type state struct {
	Source   string `json:"source"`   // the directory; "" for the bundled solution
	Attempts int    `json:"attempts"` // since the program began
	// when what serves was deployed, in ms since 1970; 0: nothing serves
	Deployed int64     `json:"deployed"`
	Routes   []string  `json:"routes"`
	Modules  []string  `json:"modules"`
	Handler  string    `json:"handler"` // the file of the event handler; "" without one
	Warnings []problem `json:"warnings"`
	Problems []problem `json:"problems"` // of the latest attempt; none if it is what serves
}

// A problem is a place in a solution, with the line that is there.
type problem struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Text string `json:"text"`
	Code string `json:"code"`
}

// A deployer deploys a solution and knows what came of it.
type deployer struct {
	host  *lua.Host // immutable
	files fs.FS     // immutable

	mu    sync.Mutex
	state state // guarded by mu; its slices never change
}

func newDeployer(host *lua.Host, files fs.FS, source string) *deployer {
	return &deployer{host: host, files: files, state: state{
		Source: source, Routes: []string{}, Modules: []string{}, Warnings: []problem{},
		Problems: []problem{},
	}}
}

func (d *deployer) current() state {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state
}

// deploy deploys what the files are now. If that fails, what was deployed
// before goes on. So it does if a file that has routes has become empty: whoever wants
// its routes to go removes the file.
func (d *deployer) deploy(ctx context.Context) error {
	var deployed lua.Deployment
	var err error
	if emptied := d.emptied(); len(emptied) > 0 {
		err = emptied
	} else if deployed, err = d.host.Deploy(ctx, d.files); ctx.Err() != nil {
		return err // the program ends
	}
	problems := d.withCode(problemsOf(err))
	for _, p := range problems {
		slog.Warn("not deployed", "file", p.File, "line", p.Line, "problem", p.Text)
	}
	warnings := d.withCode(deployed.Warnings)
	if err == nil {
		slog.Info("deployed", "routes", len(deployed.Routes), "modules", len(deployed.Modules),
			"warnings", len(warnings))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state.Attempts++
	d.state.Problems = problems
	if err == nil {
		d.state.Deployed = time.Now().UnixMilli()
		d.state.Routes, d.state.Modules = orEmpty(deployed.Routes), orEmpty(deployed.Modules)
		d.state.Handler = deployed.Handler
	}
	d.state.Warnings = warnings // also of an attempt that failed
	return err
}

// removes reports whether a deployment now would remove routes that serve.
func (d *deployer) removes() bool { return len(d.removed()) > 0 }

// removed returns the routes that a deployment now would remove, with their files.
func (d *deployer) removed() map[string]string {
	gone := make(map[string]string)
	for _, s := range d.host.Stats() {
		if s.Route != "" {
			gone[s.Route] = s.File
		}
	}
	if len(gone) > 0 {
		for _, e := range lua.Declarations(d.files) {
			delete(gone, e.Route)
		}
	}
	return gone
}

// emptied lists the files that are there and have none of their routes any more.
func (d *deployer) emptied() lua.Problems {
	removed := d.removed()
	if len(removed) == 0 {
		return nil
	}
	declaring := make(map[string]bool)
	for _, e := range lua.Declarations(d.files) {
		declaring[e.File] = true
	}
	var problems lua.Problems
	for route, file := range removed {
		if info, err := fs.Stat(d.files, file); err == nil && info.Mode().IsRegular() &&
			!declaring[file] {
			problems = append(problems, lua.Problem{
				File: file, Line: 1,
				Text: "the file has no endpoint any more: remove it if its route " + route + " is to go",
			})
		}
	}
	slices.SortFunc(problems,
		func(a, b lua.Problem) int { return strings.Compare(a.String(), b.String()) })
	return problems
}

func orEmpty(s []string) []string { return append([]string{}, s...) }

// withCode adds the lines that are meant, as the files are now.
func (d *deployer) withCode(notes []lua.Problem) []problem {
	const most = 100 // a page of them says enough
	all := []problem{}
	for _, n := range notes[:min(len(notes), most)] {
		all = append(all, problem{n.File, n.Line, n.Text, lineOf(d.files, n.File, n.Line)})
	}
	return all
}

// lineOf returns a line of a file, or "" if there is none.
func lineOf(files fs.FS, file string, line int) string {
	const most = 200 // bytes
	if info, err := fs.Stat(files, file); err != nil || !info.Mode().IsRegular() {
		return "" // opening a pipe would wait
	}
	f, err := files.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, 1<<20))
	for range line {
		if !lines.Scan() {
			return ""
		}
	}
	text := strings.TrimSpace(lines.Text())
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}
