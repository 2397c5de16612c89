package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/wsgateway/gateway"
)

// Figures are what the gateway held at most, and why it closed sockets.
type figures struct {
	Live, Queued, Received int64
	Closed                 map[gateway.Cause]uint64
}

// serve is the gateway's process. It ends with its standard input.
func serve(c config) error {
	gw := gateway.New(&gateway.Options{
		Logger: slog.New(slog.DiscardHandler), Compression: true, MaxSocketsPerAddr: -1,
		Limits: gateway.Limits{MessagesPerSecond: c.Rate},
	})
	echo := gateway.Callbacks{
		OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			return s.Send(ctx, m)
		},
	}
	gw.HandleRoute(gateway.Route{
		Pattern: "/good", Endpoint: echo, Limits: gateway.Limits{MessagesPerSecond: -1},
	})
	gw.Handle("/echo", echo)
	gw.Handle("/hostile", gateway.Callbacks{})
	large := gateway.Binary(make([]byte, 900_000))
	gw.Handle("/large", gateway.Callbacks{
		OnData: func(ctx context.Context, s *gateway.Socket, _ gateway.Message) error {
			return s.Send(ctx, large)
		},
	})
	g := &guard{gw: gw}
	mux := http.NewServeMux()
	mux.Handle("/", gw)
	mux.HandleFunc("POST /begin", func(http.ResponseWriter, *http.Request) {
		if size := c.kind().sends; size > 0 {
			go g.send(size)
		}
	})
	mux.HandleFunc("GET /most", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(g.held())
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(l, mux)
	go g.watch()
	fmt.Println(l.Addr())
	io.Copy(io.Discard, os.Stdin)
	return nil
}

// A guard looks at what the gateway holds, and sends to the hostile clients.
type guard struct {
	gw   *gateway.Handler
	mu   sync.Mutex
	most figures
}

func (g *guard) watch() {
	for range time.Tick(50 * time.Millisecond) {
		st := g.gw.Stats()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		g.mu.Lock()
		g.most.Live = max(g.most.Live, int64(m.HeapAlloc+m.StackInuse))
		g.most.Queued = max(g.most.Queued, st.QueuedBytes)
		g.most.Received = max(g.most.Received, st.ReceivingBytes)
		g.most.Closed = st.Closed
		g.mu.Unlock()
	}
}

func (g *guard) held() figures {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.most
}

// send sends to the hostile sockets for ever, and only waits while all refuse.
func (g *guard) send(size int) {
	m := gateway.Binary(make([]byte, size))
	for {
		ids, _ := g.gw.List(context.Background())
		accepted := 0
		for _, id := range ids {
			info, err := g.gw.Info(context.Background(), id)
			if err == nil && info.Route == "/hostile" && g.gw.Send(context.Background(), id, m) == nil {
				accepted++
			}
		}
		if accepted == 0 {
			time.Sleep(20 * time.Millisecond)
		}
	}
}
