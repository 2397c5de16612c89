package lua

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"unicode/utf8"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua/internal/vm"
)

// A socket is what a run needs of a *gateway.Socket.
type socket interface {
	ID() string
	Info() gateway.Info
	Send(ctx context.Context, m gateway.Message) error
	Close() error
}

var _ socket = (*gateway.Socket)(nil)

// An endpoint is one route's, for as long as some deployment has the route. It
// looks up what to run at every event.
type endpoint struct {
	host     *Host
	pattern  string
	fallback atomic.Pointer[program] // while, or after, the current one does not serve the route
}

func (e *endpoint) program() *program {
	if p := e.host.current.Load(); p != nil && p.serves(e.pattern) {
		return p
	}
	return e.fallback.Load()
}

// ServeEvent runs the route's script.
func (e *endpoint) ServeEvent(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
	err := e.program().serve(ctx, e.pattern, s, ev)
	if err != nil && e.host.opts.CloseOnError && ev.Type != gateway.EventClose {
		return &gateway.CloseError{Code: 1011, Reason: string(gateway.CauseScriptError),
			Cause: gateway.CauseScriptError}
	}
	return nil // logged and counted
}

// An event is what runs now.
type event struct {
	ctx     context.Context
	trigger string // of Trigger: service and event; "" for an event of a socket
	socket  socket // nil for one of Trigger
	ev      gateway.Event
	script  *script
	route   string
	info    *gateway.Info // made when first needed
	table   vm.Value      // websocketInfo
	nested  bool          // a service that a script called has triggered it
}

func (e *event) fullInfo() *gateway.Info {
	if e.info == nil {
		info := e.socket.Info()
		e.info = &info
	}
	return e.info
}

// serve runs the script of a route for one event. The error is what went wrong
// in the script, logged and counted already.
func (p *program) serve(ctx context.Context, pattern string, s socket, ev gateway.Event) error {
	sc := p.script(pattern)
	if sc == nil {
		return nil
	}
	e := &event{ctx: ctx, socket: s, ev: ev, script: sc, route: pattern}
	err := p.run(e, func(m *machine) error {
		result, err := m.dispatch(e)
		if err != nil || result == nil || e.ev.Type == gateway.EventClose {
			return err
		}
		return m.reply(e, result)
	})
	var failure *vm.Error
	if errors.As(err, &failure) && failure.Budget == vm.Ended {
		return nil // nobody is there whom it would concern
	}
	return err
}

// run runs f in one of the VMs when it is the event's turn, under the budgets. The
// error is what went wrong in the script, logged and counted already.
func (p *program) run(e *event, f func(m *machine) error) error {
	r := p.host.newRun(e.ctx, e.script.count)
	r.nested = e.nested
	e.ctx = r
	var usage vm.Usage
	var err error
	if p.host.running.enter(r, e.socket == nil) {
		defer p.host.running.leave(r)
		usage, err = p.inTurn(r, e, f)
	} else {
		r.stop.Store(errHostShutDown)
		err = vm.StopError(errHostShutDown, e.script.place)
	}
	var failure *vm.Error
	if errors.As(err, &failure) && failure.Budget == vm.Ended {
		p.host.log.LogAttrs(e.ctx, slog.LevelDebug, "script ended",
			append(e.attrs(), slog.Any("error", err))...)
		e.script.count.add(usage, nil) // it is not the script's fault
		e.ran(usage, nil)
		return err
	}
	e.script.count.add(usage, err)
	e.ran(usage, err)
	if err != nil {
		p.host.failed(e, err)
	}
	return err
}

// inTurn waits for the event's turn and runs f. Close events wait however many do.
func (p *program) inTurn(r *run, e *event, f func(m *machine) error) (vm.Usage, error) {
	defer r.end()
	grant, err := r.begin(e.ev.Type == gateway.EventClose)
	if err != nil {
		return vm.Usage{}, vm.StopError(err, e.script.place)
	}
	m, err := p.pool.get(r, grant)
	if err != nil {
		return vm.Usage{}, err
	}
	usage, err := m.Run(func() error {
		m.Host, m.Place = e, e.script.place
		return f(m)
	})
	// A script may keep websocketInfo, and with it a message that it has not read.
	m.MayKeep(len(e.ev.Message.Data))
	p.pool.put(m)
	return usage, err
}

// dispatch calls what the event is for, and returns what is to be sent back.
func (m *machine) dispatch(e *event) (vm.Value, error) {
	info, response := m.NewLazy(newInfoSource(m, e)), m.NewTable(1)
	e.table = info
	if m.program.handler == nil && m.routing == m.deflt {
		return m.callScript(e.script, info, response)
	}
	var result vm.Value
	if m.program.handler != nil {
		var err error
		if result, err = m.callScript(m.program.handler, info, response); err != nil {
			return nil, err
		}
	}
	// The handler's block, or a module, may have defined the function.
	if f := m.Global(handlerName); result == nil && f != m.deflt && f != nil {
		result = m.Call(f, info, response)
	}
	if result == nil {
		result = m.Get(response, "message")
	}
	return result, nil
}

func (m *machine) callScript(s *script, info, response vm.Value) (vm.Value, error) {
	f, err := m.function(s)
	if err != nil {
		return nil, err
	}
	if result := m.Call(f, info, response); result != nil {
		return result, nil
	}
	return m.Get(response, "message"), nil
}

// defaultHandler is the global function that routes to the endpoint scripts; a
// custom one may call it.
func (m *machine) defaultHandler(c *vm.Call) error {
	e, _ := m.Host.(*event)
	switch {
	case e == nil:
		return errors.New("there is no event while modules load")
	case e.socket == nil:
		return errors.New("the event is none of a socket's")
	}
	s := m.program.byRoute[e.route]
	if s == nil {
		return nil
	}
	result, err := m.callScript(s, c.Arg(1), m.NewTable(1))
	if err == nil {
		c.Return(result)
	}
	return err
}

// reply sends a result: a string as it is, a table as JSON, numbers and booleans
// as their text.
func (m *machine) reply(e *event, result vm.Value) error {
	text, err := m.text(result)
	if err != nil {
		return fmt.Errorf("%s: the result cannot be sent: %w", e.script.place, err)
	}
	m.Output(len(text))
	if !utf8.ValidString(text) {
		return fmt.Errorf("%s: the result cannot be sent: %w", e.script.place, errNotText)
	}
	m.Pause(func() { err = e.socket.Send(e.ctx, gateway.Text(text)) })
	var refused *gateway.Error
	if errors.As(err, &refused) && !errors.Is(err, gateway.ErrInvalid) &&
		!errors.Is(err, gateway.ErrTooLarge) {
		// The socket has closed meanwhile; the script did nothing wrong.
		m.program.host.log.LogAttrs(e.ctx, slog.LevelDebug, "reply not sent",
			append(e.attrs(), slog.Any("error", err))...)
		return nil
	}
	if err != nil {
		err = fmt.Errorf("%s: the result cannot be sent: %w", e.script.place, err)
	}
	return err
}

// text is how a value is sent.
func (m *machine) text(v vm.Value) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case float64:
		return vm.FormatNumber(v), nil
	case bool:
		return strconv.FormatBool(v), nil
	}
	b, err := m.AppendJSON(nil, v)
	return string(b), err
}
