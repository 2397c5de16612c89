package lua

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua/internal/vm"
)

// A Service is a table of functions for scripts.
type Service map[string]Function

// A Function is a Go function that scripts can call. [Func] makes one.
type Function struct {
	call func(ctx context.Context, m *machine, arg vm.Value) (vm.Value, error)
}

// Func makes a Go function callable from scripts, as in Keystore.get{key = "x"}:
// the one argument of the call becomes args, the result is returned.
//
// Values are converted as encoding/json would, through its struct tags, but
// strings may hold any bytes and []byte is a string: fields that the script does
// not give are zero, fields that T does not have are ignored, a number where a
// string is wanted is written as text. What does not fit is an error of type
// invalid_request. Results that are nil, or point nowhere, are nil.
//
// An error is returned to the script as the table {type, error, status} of
// [gateway.ErrorOf]; it does not end the run. A panic is logged and becomes an
// error of type internal. The context is that of the event. The time fn takes
// does not count against the script's.
func Func[T, R any](fn func(ctx context.Context, args T) (R, error)) Function {
	return Function{call: func(ctx context.Context, m *machine, arg vm.Value) (vm.Value, error) {
		var args T
		if arg != nil {
			if err := m.decode(arg, reflect.ValueOf(&args).Elem(), "argument", 0); err != nil {
				return nil, invalid(err.Error())
			}
		}
		var result R
		var err error
		m.Pause(func() { result, err = contained(ctx, m, fn, args) })
		if err != nil {
			return nil, err
		}
		return m.encode(reflect.ValueOf(&result).Elem(), 0)
	}}
}

// contained calls fn and turns a panic into an error.
func contained[T, R any](ctx context.Context, m *machine, fn func(context.Context, T) (R, error),
	args T) (result R, err error) {
	defer func() {
		if p := recover(); p != nil {
			m.program.host.log.ErrorContext(ctx, "service panicked", "panic", fmt.Sprint(p), "stack",
				string(debug.Stack()))
			err = gateway.NewError(gateway.ErrInternal, "the service failed")
		}
	}()
	return fn(ctx, args)
}

// checkServices panics if scripts could not use them: it is the program that has
// to be mended.
func checkServices(services map[string]Service) {
	for name, service := range services {
		if !isPath(name) {
			panic(fmt.Sprintf("lua: New: service %q: not a Lua name", name))
		}
		for fn, f := range service {
			if !isName(fn) || f.call == nil {
				panic(fmt.Sprintf("lua: New: service %s: function %q: not a Lua name, or not made by Func",
					name, fn))
			}
			if _, ok := services[name+"."+fn]; ok {
				panic(fmt.Sprintf("lua: New: service %s: function %q: a service has that name", name, fn))
			}
		}
	}
}

// isPath reports whether s is names with dots in between.
func isPath(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if !isName(part) {
			return false
		}
	}
	return true
}

func isName(s string) bool {
	for i, c := range s {
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != "" &&
		!strings.Contains(" and break do else elseif end false for function goto if in local nil not "+
			"or repeat return then true until while ", " "+s+" ")
}

func (m *machine) openServices(services map[string]Service) {
	for _, name := range slices.Sorted(maps.Keys(services)) { // the shorter of two paths first
		service := services[name]
		t := m.NewTable(len(service))
		for fn, f := range service {
			op := name + "." + fn
			m.Set(t, fn, m.Function(op, func(c *vm.Call) error {
				arg := c.Arg(1)
				if arg == t { // Keystore:get{...}
					arg = c.Arg(2)
				}
				v, err := f.call(m.callContext(), m, arg)
				c.Return(m.result(op, v, err))
				return nil
			}))
		}
		m.setPath(name, t)
	}
}

// setPath sets a global, or a field of one, whose name has parts. Tables that are on
// the way are kept.
func (m *machine) setPath(path string, v vm.Value) {
	first, rest, nested := strings.Cut(path, ".")
	if !nested {
		m.SetGlobal(path, v)
		return
	}
	t := m.Defined(first)
	if m.Type(t) != "table" {
		t = m.NewTable(1)
		m.SetGlobal(first, t)
	}
	for {
		name, more, nested := strings.Cut(rest, ".")
		if !nested {
			m.Set(t, name, v)
			return
		}
		next := m.Get(t, name)
		if m.Type(next) != "table" {
			next = m.NewTable(1)
			m.Set(t, name, next)
		}
		t, rest = next, more
	}
}

// A Caller says which script has called a service.
type Caller struct {
	SocketID string // of the socket whose event it is; "" for one of Trigger and while modules load
	Route    string // the pattern of that socket's route
	Trigger  string // service and event, as in "timer timer", for an event of Trigger
	File     string // of the script, as in the solution; "" while modules load
}

type callerKey struct{}

// CallerOf returns which script has called the function of a service that was given
// ctx, or false if no script has.
func CallerOf(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(callerKey{}).(Caller)
	return c, ok
}

// callContext is the context of a call of a service.
func (m *machine) callContext() context.Context {
	var c Caller
	if e, _ := m.Host.(*event); e != nil {
		c = Caller{Route: e.route, Trigger: e.trigger, File: e.script.file}
		if e.socket != nil {
			c.SocketID = e.socket.ID()
		}
	}
	return context.WithValue(m.context(), callerKey{}, c)
}
