package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	golua "github.com/Shopify/go-lua"
)

// A Chunk is compiled source. It never changes and may be loaded into any
// number of States at once.
type Chunk struct {
	Name      string   // what errors and tracebacks call it
	Uses      Uses     // of globals
	Variables []string // those of a module that are known to later code, unless it returns before
	code      []byte

	returns bool     // its function is what running it returns
	rest    []string // variables of modules that it takes from a table
	longest int      // bytes of a string in its source
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

// Compile compiles source. Errors are *[SyntaxError], also where ctx ended
// first: the time it takes can be cubic in the length of the source.
func Compile(ctx context.Context, source, name string) (*Chunk, error) {
	return compileLinked(ctx, source, name, plain)
}

// pieceSize is how much source the parser gets at once.
const pieceSize = 16

var errCompileTime = errors.New("compiling takes too long; is there a very long chain of elseif, " +
	"and, or, break or goto?")

// pieces gives the parser its source bit by bit and asks each time whether to go
// on. Nothing else can interrupt the parser, which walks the list of all jumps
// to a place whenever it adds one, and checks the rest of the list at each step:
// a chain of a thousand elseif takes a second, one of ten thousand an hour.
type pieces struct {
	text string
	at   int
	goOn func() error
	err  error // what goOn has said
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.err = p.goOn(); p.err != nil {
		p.goOn = func() error { return p.err }
		return 0, p.err // to the parser the source ends here
	}
	if p.at == len(p.text) {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), pieceSize)], p.text[p.at:])
	p.at += n
	return n, nil
}

// line is where the parser is.
func (p *pieces) line() int { return 1 + strings.Count(p.text[:p.at], "\n") }

// compile leaves the stack of l as it was. It stops soon after goOn, which it
// asks every few bytes, has returned an error.
func compile(l *golua.State, source, name string, goOn func() error,
	p plan) (code []byte, err error) {
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
	if err := checkJumps(source, name, maxJumps); err != nil {
		return nil, err
	}
	if err := checkNumerals(source, name); err != nil {
		if first := explain(source, name); first != nil {
			return nil, first
		}
		return nil, err
	}
	translated := translate(source)
	reader := &pieces{text: translated, goOn: goOn}
	err = l.Load(reader, "="+name, "t")
	if reader.err != nil {
		return nil, &SyntaxError{Name: name, Line: reader.line(), Text: errCompileTime.Error()}
	}
	if err != nil {
		if why := explain(source, name); why != nil {
			return nil, why
		}
		message, _ := l.ToString(-1)
		var goErr interface{ RuntimeError() }
		if errors.As(err, &goErr) {
			message = errTooComplex.Error()
		}
		return nil, syntaxError(name, strings.ReplaceAll(message, gotoName, "goto"))
	}
	var b bytes.Buffer
	if err := l.Dump(&b); err != nil {
		return nil, &SyntaxError{Name: name, Text: err.Error()}
	}
	code = b.Bytes()
	if translated != source {
		code = showGoto(code)
	}
	if code, err = rewrite(code, p); err != nil {
		return nil, &SyntaxError{Name: name, Text: err.Error()}
	}
	return code, nil
}

// maxJumps is how many break and goto a chunk may have. The parser resolves all
// that lead to one place at once, between two pieces, in cubic time: 1,500 take
// two seconds, 50,000 would take a day.
const maxJumps = 1500

// maxLoadJumps is maxJumps of source that is compiled during a run, while others wait for
// their turn: it takes some 10 ms.
const maxLoadJumps = 300

// checkJumps counts words, also those in strings and comments.
func checkJumps(source, name string, most int) error {
	jumps := 0
	for start := 0; start < len(source); {
		end := start
		for end < len(source) && isWordByte(source[end]) {
			end++
		}
		if word := source[start:end]; word == "break" || word == "goto" {
			if jumps++; jumps > most {
				line := 1 + strings.Count(source[:start], "\n")
				return &SyntaxError{Name: name, Line: line,
					Text: fmt.Sprintf("compiling takes too long: more than %d break and goto in one script",
						most)}
			}
		}
		start = end + 1
	}
	return nil
}

func isWordByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
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
	e.Text = inWords(e.Text)
	return e
}

// inWords completes a message of the VM's parser: a name that is missing has no word,
// and numbers are written in Go's way.
func inWords(message string) string {
	message = strings.TrimSuffix(message, " near ") // of a token that is no whole one
	if strings.HasPrefix(message, " expected") {
		message = "<name>" + message
	}
	if text, number, ok := strings.Cut(message, " near "); ok {
		if f, err := strconv.ParseFloat(number, 64); err == nil {
			message = text + " near " + FormatNumber(f)
		}
	}
	return message
}
