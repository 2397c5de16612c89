package vm

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	golua "github.com/Shopify/go-lua"
)

// An Error is the failure of a script.
type Error struct {
	Value     Value  // what error was called with; a string for errors of the VM
	Message   string // the value as text, with chunk and line where it is a string
	Traceback string // one line per call, innermost first; may be empty
	Budget    string // the word for the bound that is exceeded; [Ended] if the run's context has ended
	Internal  bool   // not the script's fault
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// errThrown is the panic that carries the value on top of the stack to the
// innermost protected call. The VM's own Error takes strings only.
var errThrown = errors.New("lua error")

// throw raises the value on top of the stack.
func (s *State) throw() {
	if s.run.protects == 0 {
		s.run.traceback = s.trace(0)
	}
	panic(errThrown)
}

// errorf raises a message with the position of the running Lua function.
func (s *State) errorf(format string, args ...any) {
	golua.Where(s.l, 1)
	where, _ := s.l.ToString(-1)
	s.l.Pop(1)
	if where == "" {
		where = s.outside()
	}
	s.l.PushString(where + fmt.Sprintf(format, args...))
	s.throw()
}

// outside is the position for errors while no Lua function runs: the host is at
// work on what one has returned.
func (s *State) outside() string {
	if chunk, _ := s.Position(); chunk != "" || s.Place == "" {
		return ""
	}
	return s.Place + ": "
}

// overrun ends the run; no pcall stops it.
func (s *State) overrun(budget, format string, args ...any) {
	s.endWith(budget, overrunText+fmt.Sprintf(format, args...))
}

// endWith ends the run with a message; no pcall stops it.
func (s *State) endWith(budget, message string) {
	if s.run.abort == nil {
		if chunk, line := s.Position(); chunk != "" {
			message = chunk + ":" + strconv.Itoa(line) + ": " + message
		} else {
			message = s.outside() + message
		}
		s.run.abort = &Error{Value: message, Message: message, Budget: budget, Traceback: s.trace(0)}
	}
	s.stop()
}

// stop goes on ending the run.
func (s *State) stop() {
	s.broken = true
	s.l.PushString(s.run.abort.Message)
	panic(s.run.abort)
}

// argError is an error about argument i of the running library function.
func (s *State) argError(i int, format string, args ...any) {
	name, kind := s.calledAs()
	if name == "" || name == "?" {
		name = s.fname
	}
	if kind == "method" {
		if i--; i == 0 {
			s.errorf("calling '%s' on bad self (%s)", name, fmt.Sprintf(format, args...))
		}
	}
	s.errorf("bad argument #%d to '%s' (%s)", i, name, fmt.Sprintf(format, args...))
}

func (s *State) typeError(l *golua.State, i int, want string) {
	got := "no value"
	if i <= l.Top() {
		got = l.TypeOf(i).String()
	}
	s.argError(i, "%s expected, got %s", want, got)
}

// caught looks at the failure of a protected call, and does not return if the run
// is over: a budget is exceeded, or the VM or one of our functions failed, and
// then the value on top of the stack is anything.
func (s *State) caught(err error) {
	if s.killing {
		panic(errKilled)
	}
	s.noteGoError(err)
	if s.run.abort != nil {
		s.stop()
	}
}

func (s *State) noteGoError(err error) {
	var goErr runtime.Error
	if s.run.abort == nil && errors.As(err, &goErr) {
		message := "internal error: " + err.Error()
		s.run.abort = &Error{Value: message, Message: message, Internal: true}
	}
}

// positioned is what begins with chunk and line.
var positioned = regexp.MustCompile(`^\S.*?:\d+: `)

// newError makes an Error of the value on top of the stack, which err left
// there.
func (s *State) newError(err error) *Error {
	s.noteGoError(err)
	if s.run.abort != nil {
		s.broken = true
		return s.run.abort
	}
	e := &Error{Value: s.l.ToValue(-1), Traceback: s.run.traceback}
	switch v := e.Value.(type) {
	case string:
		e.Message = v
	case float64:
		e.Message = FormatNumber(v)
	default:
		e.Message = fmt.Sprintf("(error object is a %s value)", s.Type(v))
		if text, ok := s.described(v); ok {
			e.Message = text
		} else if text, ok := s.Get(v, "message").(string); ok {
			e.Message += ": " + text
		} else if text, ok := s.Get(v, "error").(string); ok {
			e.Message += ": " + text
		}
	}
	if !positioned.MatchString(e.Message) { // a table, or error with a level that has no line
		if where, _, ok := strings.Cut(e.Traceback, ": in "); ok {
			e.Message = where + ": " + e.Message
		} else if s.Place != "" {
			e.Message = s.Place + ": " + e.Message
		}
	}
	return e
}

// described returns what the __tostring of an error object says, if it has one that
// works.
func (s *State) described(v Value) (text string, ok bool) {
	l := s.l
	s.push(v)
	if !l.IsTable(-1) || !golua.MetaField(l, -1, "__tostring") {
		l.Pop(1)
		return "", false
	}
	l.Pop(2)
	l.PushGoFunction(func(l *golua.State) int {
		s.push(v)
		text = s.toString(l, l.Top())
		return 0
	})
	if err := l.ProtectedCall(0, 0, 0); err != nil {
		l.Pop(1)
		return "", false
	}
	return text, true
}

// traceHandler is called for errors of the VM where they come up. It mends the
// message, and keeps the traceback if no pcall catches the error.
func traceHandler(s *State, l *golua.State) int {
	if s.run.protects == 0 {
		s.run.traceback = s.trace(1)
	}
	l.SetTop(1)
	if message, ok := l.ToValue(1).(string); ok {
		l.PushString(s.mend(message))
	}
	return 1
}

// info returns source and line of the frame at a level. The VM cannot tell the
// line of a function that has not begun, and in a hook, which comes before an
// instruction, it tells the line of the one in front of it.
func (s *State) info(f golua.Frame, level int) (d golua.Debug) {
	defer func() {
		if recover() != nil {
			d, _ = golua.Info(s.l, "S", f)
			d.CurrentLine = max(1, d.LineDefined)
		}
	}()
	if level == 0 && s.run.hooked {
		if line := nextLine(s.l, f); line > 0 {
			d, _ = golua.Info(s.l, "S", f)
			d.CurrentLine = line
			return d
		}
	}
	d, _ = golua.Info(s.l, "Sl", f)
	return d
}

// nextLine returns the line of the instruction that comes next in a Lua function,
// or 0 if it cannot be found in this release of the VM.
func nextLine(l *golua.State, f golua.Frame) (line int) {
	defer func() {
		if recover() != nil {
			line = 0
		}
	}()
	call := reflect.ValueOf(f).Elem()
	stack := reflect.ValueOf(l).Elem().FieldByName("stack")
	closure := stack.Index(int(call.FieldByName("function").Int())).Elem().Elem()
	lines := closure.FieldByName("prototype").Elem().FieldByName("lineInfo")
	return int(lines.Index(int(call.FieldByName("savedPC").Int())).Int())
}

// trace lists the running Lua functions, innermost first.
func (s *State) trace(level int) string {
	const most = 20
	var b strings.Builder
	for n := 0; n < most; level++ {
		f, ok := golua.Stack(s.l, level)
		if !ok {
			return b.String()
		}
		d := s.info(f, level)
		if d.CurrentLine <= 0 {
			continue
		}
		n++
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		source := strings.TrimPrefix(d.Source, "=")
		fmt.Fprintf(&b, "%s:%d: ", source, d.CurrentLine)
		if d.What == "main" {
			b.WriteString("in main chunk")
		} else {
			fmt.Fprintf(&b, "in function <%s:%d>", source, d.LineDefined)
		}
	}
	b.WriteString("\n...")
	return b.String()
}
