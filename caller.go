package gateway

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"github.com/wsgateway/gateway/internal/stack"
)

// callerLine is the file and line of the first caller outside this package.
func callerLine() string {
	var pcs [16]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, packagePath+".") {
			return fmt.Sprintf("%s:%d", f.File, f.Line)
		}
		if !more {
			return "unknown"
		}
	}
}

const packagePath = "github.com/wsgateway/gateway"

// checkOutside refuses what waits for the sockets of h and is called by one that it
// would wait for: by an event, a function of Socket.Go, or Authorize. What it is called
// with shows that; or else the stack of its goroutine, which cannot tell one gateway
// from another. So another gateway's event says by its context whose it is.
func (h *Handler) checkOutside(ctx context.Context, what string) error {
	s, own := ctx.Value(socketKey{}).(*Socket)
	switch {
	case own && s.h == h:
		return invalidf("%s waits for every socket's close event, and its context is that of an event, "+
			"which ends first: call it with another context and in another goroutine", what)
	case !own && stack.Count(callsOut...) > 0:
		return invalidf("%s waits for the endpoint that it is called from: "+
			"call it in another goroutine (an endpoint that shuts down another gateway "+
			"passes its event's context)", what)
	}
	return nil
}

// callsOut are the functions inside of which the gateway calls what it waits for.
var callsOut = []string{
	packagePath + ".(*Socket).handle",
	packagePath + ".(*Socket).call",
	packagePath + ".(*Socket).run",
	packagePath + ".(*Socket).finish",
	packagePath + ".(*Handler).upgrade",
}
