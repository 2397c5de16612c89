package lua

import (
	"sync"

	"github.com/wsgateway/gateway/lua/internal/vm"
)

// maxRuns is how many events a VM serves before a new one takes its place.
// Making one costs as much as a few events; it bounds whatever may pile up in a
// VM, and what scripts leave in the tables of modules.
const maxRuns = 10_000

// A machine is a VM with a solution loaded.
type machine struct {
	*vm.State
	program *program
	fns     map[*script]vm.Value
	routing vm.Value // the default handler, or what a module put in its place
	deflt   vm.Value // the default handler
	quiet   bool     // modules run again: what they print has been logged
}

const handlerName = "handle_websocket_websocket_info"

// newMachine makes a VM and runs the modules in it.
func (p *program) newMachine(quiet bool) (*machine, error) {
	m := &machine{program: p, fns: make(map[*script]vm.Value), quiet: quiet}
	noService := "the host has no such service"
	if p.host.opts.StrictNames {
		noService = ""
	}
	m.State = vm.New(vm.Config{
		NoService: noService,
		Limits:    p.host.opts.Limits.vm(), Print: m.print,
		Require: func(name string) (*vm.Chunk, string) { return p.require(m, name) },
	})
	m.Host = (*event)(nil)
	m.openWebsocket()
	m.openServices(p.host.opts.Services)
	if err := m.openConstants(p.host.opts.Constants); err != nil {
		return nil, err
	}
	m.deflt = m.Function(handlerName, m.defaultHandler)
	m.SetGlobal(handlerName, m.deflt)
	_, err := m.Setup(func() error {
		for i := range p.modules {
			mod := &p.modules[i]
			if mod.private {
				continue
			}
			if p.linker != nil {
				p.linker.linkModule(m, mod)
			}
			m.RunModule(mod.chunk, mod.name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	m.quiet = false
	m.routing = m.Global(handlerName)
	return m, nil
}

// function returns the function of a script.
func (m *machine) function(s *script) (vm.Value, error) {
	if f, ok := m.fns[s]; ok {
		return f, nil
	}
	f, err := m.LoadLinked(s.chunk)
	if err != nil {
		return nil, err
	}
	m.fns[s] = f
	return f, nil
}

// A pool holds the idle VMs of a program. Only they are counted: an event that
// finds none makes one, so that no run waits for another.
type pool struct {
	program *program
	max     int

	mu   sync.Mutex
	idle []*machine // guarded by mu
}

func (p *pool) get() (*machine, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		m := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return m, nil
	}
	p.mu.Unlock()
	return p.program.newMachine(true)
}

func (p *pool) put(m *machine) {
	if m.Broken() || m.Worn() || m.Runs() >= maxRuns {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) < p.max {
		p.idle = append(p.idle, m)
	}
}
