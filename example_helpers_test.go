package gateway_test

import (
	"fmt"
	"testing"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
)

// What the examples connect with. In the tests of a program, which have a
// *testing.T, package gatewaytest does all of this by itself.

// A page is a client of an example.
type page struct {
	*gatewaytest.Peer
	leave func()
}

// browse serves the gateway in memory and connects a client to a path.
func browse(gw *gateway.Handler, path string) *page {
	t := new(exampleTB)
	return &page{gatewaytest.NewServer(t, gw).Dial(t, path), t.end}
}

func (p *page) say(text string) { p.Send(gateway.Text(text)) }
func (p *page) hear() string    { return string(p.Receive().Data) }

// end says how the socket ended.
func (p *page) end() string {
	code, reason := p.Closed()
	return fmt.Sprintf("closed with %d %q", code, reason)
}

// An exampleTB is as much of a test as gatewaytest needs.
type exampleTB struct {
	testing.TB
	cleanups []func()
}

func (t *exampleTB) Helper()                      {}
func (t *exampleTB) Logf(string, ...any)          {}
func (t *exampleTB) Cleanup(fn func())            { t.cleanups = append(t.cleanups, fn) }
func (t *exampleTB) Errorf(text string, a ...any) { panic(fmt.Sprintf(text, a...)) }
func (t *exampleTB) Fatalf(text string, a ...any) { panic(fmt.Sprintf(text, a...)) }

func (t *exampleTB) end() {
	for len(t.cleanups) > 0 {
		last := len(t.cleanups) - 1
		fn := t.cleanups[last]
		t.cleanups = t.cleanups[:last]
		fn()
	}
}
