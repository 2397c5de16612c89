package main

import (
	"bufio"
	"context"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/wsgateway/gateway/lua"
)

// A state is what came of the latest attempt to deploy, and what serves.
type state struct {
	Source   string    `json:"source"`   // the directory; "" for the bundled solution
	Attempts int       `json:"attempts"` // since the program began
	Deployed int64     `json:"deployed"` // when what serves was deployed, in ms since 1970; 0: nothing serves
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
		Source: source, Routes: []string{}, Modules: []string{}, Warnings: []problem{}, Problems: []problem{},
	}}
}

func (d *deployer) current() state {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state
}

// deploy deploys what the files are now. If that fails, what was deployed
// before goes on.
func (d *deployer) deploy(ctx context.Context) error {
	deployed, err := d.host.Deploy(ctx, d.files)
	if ctx.Err() != nil {
		return err // the program ends
	}
	problems := d.withCode(problemsOf(err))
	for _, p := range problems {
		slog.Warn("not deployed", "file", p.File, "line", p.Line, "problem", p.Text)
	}
	warnings := d.withCode(deployed.Warnings)
	if err == nil {
		slog.Info("deployed", "routes", len(deployed.Routes), "modules", len(deployed.Modules), "warnings", len(warnings))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state.Attempts++
	d.state.Problems = problems
	if err == nil {
		d.state.Deployed = time.Now().UnixMilli()
		d.state.Routes, d.state.Modules = orEmpty(deployed.Routes), orEmpty(deployed.Modules)
		d.state.Handler, d.state.Warnings = deployed.Handler, warnings
	}
	return err
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
