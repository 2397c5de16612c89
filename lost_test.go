package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/wsgateway/gateway"
)

// A shortConn takes a number of bytes, and then no more: the write that goes beyond takes
// what fits, and fails.
type shortConn struct {
	net.Conn
	mu   sync.Mutex
	left int
	got  bytes.Buffer
	gate chan struct{} // writes wait for it
}

func (c *shortConn) Write(p []byte) (int, error) {
	<-c.gate
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(p), c.left)
	c.got.Write(p[:n])
	c.left -= n
	if n < len(p) {
		return n, errors.New("the cable is cut")
	}
	return n, nil
}

// Every message that was accepted was either written or is counted as lost, wherever a
// write breaks off: in a chunk of small messages, at a boundary, in a large one.
func TestLostWhenAWriteFails(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 9))
			gw := withLimits(gateway.Limits{QueueMessages: -1, QueueBytes: -1})
			r := &recorder{}
			gw.Handle("/", r)
			server, client := net.Pipe()
			defer client.Close()
			conn := &shortConn{Conn: server, left: 1 << 20, gate: make(chan struct{})}
			gw.ServeHTTP(hijackWriter{httptest.NewRecorder(), conn, nil}, sinkRequest("/"))
			conn.gate <- struct{}{} // the answer
			synctest.Wait()
			conn.mu.Lock()
			conn.got.Reset()
			conn.left = rnd.IntN(8_000)
			conn.mu.Unlock()
			s := r.socket()
			size := []int{10, 100, 5000}[seed%3]
			for i := range 1000 {
				m := gateway.Text(fmt.Sprint(i, strings.Repeat("x", rnd.IntN(size))))
				wantErr(t, "Send", gw.Send(context.Background(), s.ID(), m), nil)
			}
			close(conn.gate)
			synctest.Wait()
			written := uint64(0)
			for b := bytes.NewReader(conn.got.Bytes()); ; written++ {
				if _, _, err := readFrame(b); err != nil {
					break
				}
			}
			st := gw.Stats()
			if st.Open != 0 || st.MessagesOut != 1000 || st.Lost["closed"] != 1000-written {
				t.Errorf("of 1,000 messages %d were written and %d are lost, want %d; %d are open",
					written, st.Lost["closed"], 1000-written, st.Open)
			}
			wantErr(t, "Shutdown", gw.Shutdown(t.Context()), nil)
		})
	}
}
