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
	run     *run     // that the VM is in; nil while it is idle
	charge  int64    // what an idle VM holds, in the host's ledger
}

const handlerName = "handle_websocket_websocket_info"

// openMachine makes a VM with all that the host gives to scripts.
func (p *program) openMachine(r *run, grant int64) (*machine, error) {
	m := &machine{program: p, fns: make(map[*script]vm.Value)}
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
	m.enter(r, grant)
	m.openWebsocket()
	m.openServices(p.host.opts.Services)
	if err := m.openConstants(p.host.opts.Constants); err != nil {
		return nil, err
	}
	m.deflt = m.Function(handlerName, m.defaultHandler)
	m.SetGlobal(handlerName, m.deflt)
	return m, nil
}

// newMachine makes a VM and runs the modules in it, as a part of r. Where these fail,
// it returns the VM and the error.
func (p *program) newMachine(r *run, grant int64, quiet bool) (*machine, error) {
	m, err := p.openMachine(r, grant)
	if err != nil {
		return nil, err
	}
	m.quiet = quiet
	_, err = m.Setup(func() error {
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
		return m, err
	}
	_, base := m.Held()
	p.host.bounds.memory.force(r, base+grant)
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

	mu   sync.Mutex
	max  int        // guarded by mu
	idle []*machine // guarded by mu
}

// get takes an idle VM for a run, or makes one.
func (p *pool) get(r *run, grant int64) (*machine, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		m := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		p.program.host.bounds.memory.move(r, m.charge)
		m.charge = 0
		m.enter(r, grant)
		return m, nil
	}
	p.mu.Unlock()
	return p.program.newMachine(r, grant, true)
}

// put keeps the VM of a run that is over, or gives it up.
func (p *pool) put(m *machine) {
	r := m.run
	m.enter(nil, 0)
	if m.Broken() || m.Worn() || m.Runs() >= maxRuns {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) < p.max {
		more, base := m.Held()
		m.charge = base + more
		p.program.host.bounds.memory.move(r, -m.charge)
		p.idle = append(p.idle, m)
	}
}

// drop gives up the VMs that are idle.
func (p *pool) drop() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	var held int64
	for _, m := range idle {
		held += m.charge
	}
	if held > 0 {
		p.program.host.bounds.memory.free(held)
	}
}

// close gives up the VMs that are idle, and all that will be: another program takes
// over.
func (p *pool) close() {
	p.mu.Lock()
	p.max = 0
	p.mu.Unlock()
	p.drop()
}

// enter makes the VM work for a run, or for none.
func (m *machine) enter(r *run, grant int64) {
	m.run = r
	if r == nil {
		m.Guard = nil // not a nil *run
		return
	}
	m.Guard = r
	m.Grant(grant)
}
