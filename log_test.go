package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
)

// Of a burst of lines of one kind a few are written, and one says how many more there
// were; lines of other kinds are not hidden by them.
func TestLogBursts(t *testing.T) {
	for name, c := range map[string]struct{ option, wantLines, wantLeft int }{
		"default": {0, 20, 480}, "three": {3, 3, 497}, "all": {-1, 500, 0},
	} {
		bubble(t, name, func(t *testing.T) {
			var book logbook
			gw := gateway.New(&gateway.Options{
				Logger: book.logger(), LogsPerSecond: c.option, MaxSocketsPerAddr: -1,
			})
			gw.Handle("/", echo())
			srv := serve(t, gw)
			broken := func(n int) {
				for range n {
					p := rawDial(t, srv, "/")
					p.write([]byte{0xff, 0x80, 0, 0, 0, 0}) // no frame
					p.conn.Close()
				}
				synctest.Wait()
			}
			lines := func() int {
				return strings.Count(book.String(), `msg="socket closed" `) -
					strings.Count(book.String(), "level=DEBUG msg=\"socket closed\"")
			}
			broken(500)
			big := rawDial(t, srv, "/")
			big.write(maskedHeader(0x82, 100<<10)) // another cause
			big.conn.Close()
			synctest.Wait()
			if !strings.Contains(book.String(), "cause=too_large") {
				t.Error("a line with another cause is not written")
			}
			if got := lines() - 1; got != c.wantLines {
				t.Errorf("%d lines of one kind are written, want %d", got, c.wantLines)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			left := fmt.Sprintf(
				`msg="log lines left out" of="socket closed (protocol_error)" lines=%d`, c.wantLeft)
			if got := strings.Contains(book.String(), left); got != (c.wantLeft > 0) {
				t.Errorf("the log says %q: %t", left, got)
			}
			time.Sleep(time.Second)
			broken(1)
			if got := lines() - 1; got != c.wantLines+1 {
				t.Errorf("%d lines are written after a pause, want %d", got, c.wantLines+1)
			}
			broken(c.wantLines + 4)
			wantErr(t, "Shutdown", gw.Shutdown(t.Context()), nil) // does not wait for the second
			if c.wantLeft > 0 && !strings.Contains(book.String(), "lines=5") {
				t.Errorf("Shutdown has not told what was left out:\n%s", book.String())
			}
		})
	}
}

// Every text that the gateway logs is in the package's documentation.
func TestLogLinesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	plain := strings.Join(strings.Fields(strings.ReplaceAll(string(doc), "//", "")), " ")
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	call := regexp.MustCompile(`(?:log\.(?:Debug|Info|Warn|Error)\(|log\.Log\([^"]*|` +
		`NewRecord\([^"]*|s\.failed\()"([^"]+)"`)
	n := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range call.FindAllStringSubmatch(string(b), -1) {
			n++
			if !strings.Contains(plain, m[1]) {
				t.Errorf("%s logs %q, which doc.go does not name", name, m[1])
			}
		}
	}
	if n < 14 {
		t.Errorf("%d lines were found in the source: is it read at all?", n)
	}
}

// A burst of errors that endpoints return costs their lines, and not the sockets.
func TestBurstsOfEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var book logbook
		gw := gateway.New(&gateway.Options{Logger: book.logger(), Limits: unlimited})
		gw.HandleFunc("/", func(context.Context, *gateway.Socket, gateway.Event) error {
			return fmt.Errorf("passed on: %w", errors.Join(gateway.ErrNotFound))
		})
		p := serve(t, gw).Dial(t, "/")
		for range 100 {
			p.Send(gateway.Text("x"))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		const text = "endpoint passed on the error of an operation"
		n := strings.Count(book.String(), `msg="`+text)
		if n != 20 || !strings.Contains(book.String(), "lines=81") {
			t.Errorf("%d lines are written, want 20 and that there were 81 more:\n%s", n, book.String())
		}
	})
}

// A profile of goroutines tells the gateway's by what they are for.
func TestProfileLabels(t *testing.T) {
	gw := quiet()
	opened := make(chan struct{})
	gw.HandleFunc("/x", func(_ context.Context, _ *gateway.Socket, ev gateway.Event) error {
		if ev.Type == gateway.EventOpen {
			close(opened)
		}
		return nil
	})
	p := dialTCP(t, serveTCP(t, gw, false))
	p.upgrade("/x")
	<-opened
	var profile strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(profile.String(), `# labels: {"gateway":"reader"}`) {
		t.Error("the profile does not name the reader of a socket")
	}
}
