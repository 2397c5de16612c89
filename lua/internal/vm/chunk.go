package vm

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	golua "github.com/Shopify/go-lua"
)

// A Chunk is compiled source. It never changes and may be loaded into any
// number of States at once.
type Chunk struct {
	Name string // what errors and tracebacks call it
	code []byte
}

// A SyntaxError says where source does not compile.
type SyntaxError struct {
	Name string // of the chunk
	Line int    // 1 for the first; 0 if unknown
	Text string
}

// Error returns "NAME:LINE: TEXT".
func (e *SyntaxError) Error() string {
	if e.Line == 0 {
		return e.Name + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d: %s", e.Name, e.Line, e.Text)
}

// MaxName is the length to which errors shorten the names of chunks.
const MaxName = 59

// Compile compiles source. Errors are *[SyntaxError].
//
// The time it takes can be cubic in the length of the source (chains of elseif
// are the worst), and nothing can interrupt it: bound the source.
func Compile(source, name string) (*Chunk, error) {
	code, err := compile(golua.NewState(), source, name)
	if err != nil {
		return nil, err
	}
	return &Chunk{Name: name, code: code}, nil
}

// compile leaves the stack of l as it was.
func compile(l *golua.State, source, name string) (code []byte, err error) {
	top := l.Top()
	defer func() {
		// The parser's panics come as errors, but those of Dump do not.
		if p := recover(); p != nil {
			err = &SyntaxError{Name: name, Text: errTooComplex.Error()}
		}
		l.SetTop(top)
	}()
	if !strings.HasPrefix(source, golua.Signature[:1]) {
		source = skipShebang(source)
	}
	if err := golua.LoadBuffer(l, source, "="+name, "t"); err != nil {
		message, _ := l.ToString(-1)
		var goErr interface{ RuntimeError() }
		if errors.As(err, &goErr) {
			message = errTooComplex.Error()
		}
		return nil, syntaxError(name, message)
	}
	var b bytes.Buffer
	if err := l.Dump(&b); err != nil {
		return nil, &SyntaxError{Name: name, Text: err.Error()}
	}
	if code, err = rewrite(b.Bytes()); err != nil {
		return nil, &SyntaxError{Name: name, Text: err.Error()}
	}
	return code, nil
}

// skipShebang blanks a first line that starts with '#', as real Lua does for
// files.
func skipShebang(source string) string {
	if strings.HasPrefix(source, "#") {
		if i := strings.IndexByte(source, '\n'); i >= 0 {
			return source[i:]
		}
		return ""
	}
	return source
}

var messagePosition = regexp.MustCompile(`^.*?:(\d+): `)

// syntaxError makes one of the VM's message, "NAME:LINE: TEXT".
func syntaxError(name, message string) *SyntaxError {
	e := &SyntaxError{Name: name, Text: message}
	shown := name
	if len(shown) > MaxName {
		shown = shown[:MaxName]
	}
	if rest, ok := strings.CutPrefix(message, shown); ok {
		if m := messagePosition.FindStringSubmatch(rest); m != nil {
			e.Line, _ = strconv.Atoi(m[1])
			e.Text = rest[len(m[0]):]
		}
	}
	return e
}
