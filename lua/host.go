package lua

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/internal/hostlog"
	"github.com/wsgateway/gateway/lua/internal/source"
	"github.com/wsgateway/gateway/lua/internal/vm"
)

// A Gateway is what scripts act on: one process or a whole cluster. A
// *[gateway.Handler] is one.
type Gateway interface {
	// The methods are those of [gateway.Handler] and are called from many
	// goroutines.
	Send(ctx context.Context, id string, m gateway.Message) error
	Close(ctx context.Context, id string) error
	CloseAll(ctx context.Context) (int, error)
	Info(ctx context.Context, id string) (gateway.Info, error)
	List(ctx context.Context) ([]string, error)
	Group(name string) gateway.Group
	Replace(owner string, routes []gateway.Route) error
}

var _ Gateway = (*gateway.Handler)(nil)

// Options configure a [Host]. A nil *Options, like the zero value, is all
// defaults. [New] copies them.
type Options struct {
	// Name is the owner of the host's routes in [gateway.Handler.Replace]. Two
	// hosts of one gateway need different ones. Empty means "lua".
	Name string

	// Logger receives what scripts print and log, with the socket's id, the
	// route, file and line, and what goes wrong in them. Nil means
	// slog.Default(), asked anew for each line.
	Logger *slog.Logger

	// Services are tables of functions that scripts can call, by the table's
	// name: {"Keystore": {"get": lua.Func(store.Get)}}. A name may have parts, as in
	// "murano.services.keystore". A service named Websocket replaces the gateway's.
	Services map[string]Service

	// Limits bound every run of a script.
	Limits Limits

	// HostLimits bound all runs together.
	HostLimits HostLimits

	// CloseOnError closes the socket of a script that fails with 1011, cause
	// script_error. Otherwise the failure is logged and counted.
	CloseOnError bool

	// Constants are globals of all scripts, by name, which may have parts, as in
	// "context.solution". Values are converted as the results of services are.
	Constants map[string]any

	// Modules are Lua texts that scripts can require, by name. Unlike the modules of
	// a solution they run only when they are required, and their variables are their
	// own. A module of the solution that has the same name takes precedence. Errors
	// name the module as a file, NAME.lua.
	Modules map[string]string

	// Triggers are the services whose events the program triggers, as in "timer".
	// Solutions get a warning for handlers of all others, which nothing runs.
	Triggers []string

	// StrictNames makes a global that nobody has defined nil whatever its name is.
	// Otherwise one that has the name of a service, a capital letter and small ones,
	// is a table all of whose functions fail when they are called, as on the original
	// platform; a solution that uses one gets a warning.
	StrictNames bool

	// StatusOnSuccess makes send, close, join and leave of Websocket, and send and
	// close of websocketInfo, return {status=204} on success instead of nil, for
	// scripts that read a field of the result without looking. What is sent to a
	// group returns a number either way.
	StatusOnSuccess bool

	// StatusField is the field of that table. Empty means "status"; scripts that take
	// a status for a failure were written for an older form, "status_code".
	StatusField string

	// Route is a template for the routes of scripts: everything but pattern and endpoint is
	// taken from it, such as limits, Authorize and subprotocols.
	Route gateway.Route

	// IdleVMs is how many VMs wait for events when there are none. More run
	// where more events come at once. Zero means 4 per CPU, and at least 16.
	IdleVMs int
}

// Limits bound one run of a script. A zero field means the default; a negative
// one means no limit. A run that exceeds one ends with an error that no pcall
// catches.
type Limits struct {
	// Instructions of the VM. Library functions count as about as many as would
	// take the same time; calling an operation or a service counts 100, and 4 for
	// each socket that an operation lists, sends to or closes. They are counted up
	// to a thousand late. Zero means 10 million.
	Instructions int64

	// Time that the run computes: CPU time, as well as it can be measured, without
	// that of operations and services, and without what it waits for others. Zero
	// means 5 seconds. It is looked at every thousand instructions, or more often
	// where they take long.
	Time time.Duration

	// Total time of the run from its beginning to its end, with operations and
	// services, and with what it waits for its turn and for memory while it runs. The
	// contexts that services get end with it. Zero means a minute.
	Total time.Duration

	// Memory in bytes that runs make their VM hold, approximately. A VM that holds
	// more than half of it after a run is replaced. Zero means 32 MiB.
	Memory int64

	// String is the length in bytes of the longest string. Zero means 4 MiB, or
	// Memory where that is less.
	String int

	// Depth of nested calls. Zero means 10,000. Calls through library functions
	// and metamethods can be nested about 190 deep, whatever the limit.
	Depth int

	// Output in bytes that a run sends and prints; what it sends to a group counts
	// once. Zero means 16 MiB.
	Output int64

	// Lines that a run prints and logs. Each counts a hundred instructions, too. Zero
	// means 10,000.
	Lines int

	// Coroutines that a run has at the same time. More are an ordinary error, which
	// pcall catches. Zero means 1,000.
	Coroutines int
}

// A Host runs the scripts of one solution on a gateway. Its methods are safe
// from any goroutine.
type Host struct {
	// Immutable.
	gw     Gateway
	opts   Options
	log    *slog.Logger
	total  time.Duration // the whole time of a run; 0: no limit
	bounds *bounds       // of all runs; its parts have their own locks

	current atomic.Pointer[program] // what new events run

	closed    atomic.Bool
	life      context.Context // ends when Shutdown has waited in vain
	endLife   context.CancelFunc
	running   running    // has its own lock
	libraries []module   // immutable: Options.Modules, compiled
	counters  counterSet // has its own lock

	deploying chan struct{}        // full while somebody deploys
	endpoints map[string]*endpoint // of whoever deploys; by pattern
}

// New returns a host without scripts.
func New(gw Gateway, opts *Options) *Host {
	if gw == nil {
		panic("lua: New: nil gateway")
	}
	h := &Host{
		gw: gw, endpoints: make(map[string]*endpoint), deploying: make(chan struct{}, 1),
	}
	h.life, h.endLife = context.WithCancel(context.Background())
	if opts != nil {
		h.opts = *opts
	}
	if h.opts.Name == "" {
		h.opts.Name = "lua"
	}
	if h.opts.IdleVMs <= 0 {
		h.opts.IdleVMs = max(16, 4*runtime.GOMAXPROCS(0))
	}
	if h.opts.StatusField == "" {
		h.opts.StatusField = "status"
	}
	checkServices(h.opts.Services)
	checkConstants(h.opts.Constants)
	h.libraries = compileModules(h.opts.Modules)
	h.setBounds()
	h.log = hostlog.Logger(h.opts.Logger)
	return h
}

// A Deployment says what was deployed.
type Deployment struct {
	Routes   []string       // patterns, sorted
	Modules  []string       // files, in the order in which they ran
	Handler  string         // the file of the event handler; "" for the default routing
	Events   []EventHandler // for Host.Trigger, by file
	Warnings []Problem      // what was skipped, and why
}

// A Problem is a place in a solution and what is wrong there: the fields File, Line
// (from 1) and Text. Its method String returns "FILE:LINE: text".
type Problem = source.Note

// Problems is the error of a deployment: everything that is wrong.
type Problems []Problem

// Error returns the problems, one per line, "FILE:LINE: text".
func (p Problems) Error() string {
	var b []byte
	for i, one := range p {
		if i > 0 {
			b = append(b, '\n')
		}
		b = append(b, one.String()...)
	}
	return string(b)
}

// Deploy replaces all scripts by those in fsys, in one step: if anything is
// wrong with them, nothing changes, and the error is of type [Problems] unless
// the gateway refuses the routes or ctx ends; of the Deployment only the warnings
// are set then. Sockets stay connected; events that
// run finish with the old code, the next ones run the new. Sockets on routes
// that are gone are closed by the gateway, and their close events run the old
// code.
//
// Deploy may be called by the services of scripts, and by endpoints: a run goes on with
// the old code. But deployments wait for each other, so a service that a module calls while
// it loads cannot deploy: it gets an error of type invalid_request. After
// [Host.Shutdown] the error is of type shutting_down.
//
// See the package documentation for the layout of fsys.
func (h *Host) Deploy(ctx context.Context, fsys fs.FS) (Deployment, error) {
	if err := h.lockDeploy(ctx); err != nil {
		return Deployment{}, err
	}
	defer h.unlockDeploy()
	return h.deployLocked(ctx, source.Read(fsys))
}

// DeployEndpoint adds or replaces the script of one route and keeps all others.
// The default routing takes over again if an event handler had replaced it.
//
// Errors are those of [Host.Deploy]; they name the pattern as the file.
func (h *Host) DeployEndpoint(ctx context.Context, pattern, script string) (Deployment, error) {
	if err := h.lockDeploy(ctx); err != nil {
		return Deployment{}, err
	}
	defer h.unlockDeploy()
	added := source.ParseBody(pattern, pattern, script)
	var sol source.Solution
	if p := h.current.Load(); p != nil {
		sol = p.solution
	}
	sol.Handler, sol.Warnings, sol.Problems = nil, added.Warnings, added.Problems // Events stay
	endpoints := added.Endpoints
	for _, e := range sol.Endpoints {
		if e.Pattern != pattern {
			endpoints = append(endpoints, e)
		}
	}
	sol.Endpoints = endpoints
	return h.deployLocked(ctx, &sol)
}

func (h *Host) deployLocked(ctx context.Context, sol *source.Solution) (Deployment, error) {
	if h.closed.Load() {
		return Deployment{}, gateway.ErrShutdown
	}
	if err := ctx.Err(); err != nil {
		return Deployment{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.life, cancel)()
	p, err := h.build(ctx, sol)
	switch {
	case h.life.Err() != nil:
		return Deployment{}, gateway.ErrShutdown
	case err != nil:
		return Deployment{Warnings: p.warnings()}, err
	}
	routes := h.routesLocked(p)
	if err := h.gw.Replace(h.opts.Name, routes); err != nil {
		p.pool.close()
		h.keepLocked(h.current.Load())
		return Deployment{Warnings: p.warnings()}, fmt.Errorf("lua: %w", err)
	}
	if old := h.current.Swap(p); old != nil {
		old.pool.close()
	}
	h.keepLocked(p)
	h.counters.keep(p.scripts())
	return p.deployment(), nil
}

// routesLocked returns the routes of p, and prepares the endpoints for what may
// come between the change of the routes and that of the program: an event on a
// new route runs p, one on a removed route the program that had it.
func (h *Host) routesLocked(p *program) []gateway.Route {
	old := h.current.Load()
	for pattern, ep := range h.endpoints {
		if !p.serves(pattern) {
			ep.fallback.Store(old)
		}
	}
	routes := make([]gateway.Route, 0, len(p.routes))
	for _, pattern := range p.routes {
		ep := h.endpoints[pattern]
		if ep == nil {
			ep = &endpoint{host: h, pattern: pattern}
			ep.fallback.Store(p)
			h.endpoints[pattern] = ep
		}
		rt := h.opts.Route
		rt.Pattern, rt.Endpoint = pattern, ep
		routes = append(routes, rt)
	}
	return routes
}

// keepLocked forgets the endpoints that are none of p's.
func (h *Host) keepLocked(p *program) {
	for pattern := range h.endpoints {
		if p == nil || !p.serves(pattern) {
			delete(h.endpoints, pattern)
		}
	}
}

// Check returns everything that is wrong with the scripts in fsys, without
// running any of them: what [Host.Deploy] would refuse before it runs modules.
func Check(fsys fs.FS) []Problem {
	h := &Host{}
	_, problems := h.compile(context.Background(), source.Read(fsys))
	return problems
}

func (l Limits) vm() vm.Limits {
	return vm.Limits{
		Instructions: l.Instructions, Time: l.Time, Total: l.Total, Memory: l.Memory, String: l.String,
		Depth:  l.Depth,
		Output: l.Output, Lines: l.Lines, Coroutines: l.Coroutines,
	}
}
