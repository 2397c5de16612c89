package proc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// A Process is another program that runs beside this one: it says in one line that it is
// ready, and ends with its standard input.
type Process struct {
	In  io.WriteCloser // its standard input
	Out *bufio.Reader  // what it writes after that line
	cmd *exec.Cmd
	log *tail
}

// patience is how long a process may take to end.
const patience = 5 * time.Second

// Run starts a program, and returns the line with which it says that it is ready, without
// the end of the line. Its standard error goes to the Log, unless cmd has another place.
func Run(cmd *exec.Cmd) (p *Process, ready string, err error) {
	p = &Process{cmd: cmd, log: new(tail)}
	if cmd.Stderr == nil {
		cmd.Stderr = p.log
	}
	cmd.WaitDelay = patience
	if p.In, err = cmd.StdinPipe(); err != nil {
		return nil, "", err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	p.Out = bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	ready, err = p.Out.ReadString('\n')
	if err != nil {
		err = errors.Join(fmt.Errorf("the process did not start: %w", err), p.Stop())
		return nil, "", fmt.Errorf("%w\nits log: %s", err, p.Log())
	}
	return p, strings.TrimSpace(ready), nil
}

// Stop ends the process, and kills it where that takes long. The error is that with which
// it ended.
func (p *Process) Stop() error {
	p.In.Close()
	kill := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
	defer kill.Stop()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("the process ended: %w", err)
	}
	return nil
}

// Kill ends the process at once and in no order, as kill -9 does. Stop follows.
func (p *Process) Kill() error { return p.cmd.Process.Kill() }

// ID is the process's number.
func (p *Process) ID() int { return p.cmd.Process.Pid }

// Log is the end of what the process wrote to its standard error.
func (p *Process) Log() string { return p.log.String() }
