package lua

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/internal/stack"
	"github.com/wsgateway/gateway/lua/internal/source"
	"github.com/wsgateway/gateway/lua/internal/vm"
)

// An EventHandler is a script that runs for an event that is none of a socket's: when
// a timer fires, say, or a device reports. [Host.Trigger] runs it.
type EventHandler struct {
	Service string // as the solution writes it, as in "timer"
	Event   string // of the service, as in "timer"
	File    string // which has it
}

// A ScriptError is the failure of a script that [Host.Trigger] has run.
type ScriptError struct {
	Text      string // "FILE:LINE: text"
	Traceback string // a line for each call, innermost first; may be empty
	Budget    string // which bound of [Limits] was exceeded; "" for any other failure
}

// Error returns the text.
func (e *ScriptError) Error() string { return e.Text }

// maxTriggers is how deep scripts can be nested that run one another by way of a
// service that calls Trigger. Each has a VM and budgets of its own.
const maxTriggers = 8

type triggerDepth struct{}

// Trigger runs the script that handles an event of a service, such as that below
// the line --#EVENT timer timer, and returns what the script returns. Case does not
// matter in names. Modules may define the handler as well, as a function: that of the
// event "timer timer" has the name handle_timer_timer. Events of sockets come from
// the gateway; Trigger does not run their handler.
//
// The script has the argument as event, as data and by the name of the event. The
// argument is converted as the results of services are (see [Func]), and what the
// script returns as encoding/json would: bool, float64, string, []any, map[string]any
// or nil. Budgets are those of every run. The script may use all operations and
// services, with ctx as their context.
//
// Trigger waits for the script. It may be called from many goroutines, and then the
// handlers run at the same time. Services may call it, with the context that they were
// given; where memory is short, such a run waits for a second only, since those that wait
// for it hold some. Errors: a [*ScriptError] if the script fails, which
// is logged and counted as well; not_found if the solution has no handler of the
// event; invalid_request if the argument cannot be given to a script, or if handlers
// run one another more than 8 deep; shutting_down after [Host.Shutdown]; that of ctx
// if it has ended.
func (h *Host) Trigger(ctx context.Context, service, name string, arg any) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	depth, _ := ctx.Value(triggerDepth{}).(int)
	nested := runOf(ctx) != nil
	if !nested { // or the service that calls this has passed on another context
		depth = stack.Count(luaPackage+".(*Host).Trigger") - 1
		nested = stack.Count(runsScripts...) > 0
	}
	if depth >= maxTriggers {
		return nil, gateway.NewError(
			gateway.ErrInvalid,
			"event handlers run one another more than %d deep",
			maxTriggers,
		)
	}
	if h.closed.Load() {
		return nil, gateway.ErrShutdown
	}
	p := h.current.Load()
	sc := p.handlerOf(service, name)
	if sc == nil {
		return nil, gateway.NewError(
			gateway.ErrNotFound,
			"no script handles the event %.80s of %.80s",
			name,
			service,
		)
	}
	ctx = context.WithValue(ctx, triggerDepth{}, depth+1)
	return p.trigger(&event{
		ctx: ctx, script: sc, trigger: service + " " + name, nested: nested,
	}, arg)
}

// handlerOf returns the script of an event, or nil.
func (p *program) handlerOf(service, event string) *script {
	if p == nil {
		return nil
	}
	if s := p.events[source.EventKey(service, event)]; s != nil {
		return s
	}
	return p.functions[functionName(service, event)]
}

// functionName is the name of a global function that handles an event.
func functionName(service, event string) string {
	return strings.ToLower("handle_" + service + "_" + event)
}

// trigger runs a handler. What goes wrong is logged and counted.
func (p *program) trigger(e *event, arg any) (any, error) {
	ctx := e.ctx // it becomes the run's
	var invalidArg, badResult error
	var result any
	err := p.run(e, func(m *machine) error {
		v, err := m.encode(reflect.ValueOf(arg), 0)
		if err != nil {
			invalidArg = err
			return nil
		}
		out, err := m.handle(e, v)
		if err != nil {
			return err
		}
		if result, badResult = m.plain(out, "the result", 0); badResult != nil {
			return fmt.Errorf("%s: %w", e.script.place, badResult)
		}
		return nil
	})
	if invalidArg != nil {
		return nil, invalid("the argument of the event: " + invalidArg.Error())
	}
	switch r := runOf(e.ctx); {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && r.stop.Load() == errHostShutDown:
		return nil, gateway.ErrShutdown
	}
	return result, scriptError(err)
}

// handle runs the block of a handler, and the function that it or a module defines.
func (m *machine) handle(e *event, arg vm.Value) (vm.Value, error) {
	var result vm.Value
	if e.script.chunk != nil {
		f, err := m.function(e.script)
		if err != nil {
			return nil, err
		}
		result = m.Call(f, arg)
	}
	if result == nil {
		if f := m.Global(e.script.function); m.Type(f) == "function" {
			result = m.Call(f, arg)
		}
	}
	return result, nil
}

// scriptError is how Go sees the failure of a script.
func scriptError(err error) error {
	var failure *vm.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failure):
		return &ScriptError{Text: failure.Message, Traceback: failure.Traceback, Budget: failure.Budget}
	}
	return &ScriptError{Text: err.Error()}
}
