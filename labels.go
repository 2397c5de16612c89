package gateway

import (
	"context"
	"runtime/pprof"
)

// Goroutines are labelled by what they are for, under the key "gateway", so that a profile
// of a busy process can be read: go tool pprof -tagfocus gateway=reader. The labels are made
// once, and setting one stores a pointer.
var (
	labelReader  = labelled("reader")  // a socket's, with its endpoint
	labelWriter  = labelled("writer")  // what others send
	labelDrainer = labelled("drainer") // of a client that does not read
	labelWatcher = labelled("watcher") // of the sockets that rest
	labelDrain   = labelled("drain")   // Handler.Drain
)

func labelled(purpose string) context.Context {
	return pprof.WithLabels(context.Background(), pprof.Labels("gateway", purpose))
}
