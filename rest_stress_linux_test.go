package gateway_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
)

// Sockets that rest and wake at random, beside cuts, closes, sends and broadcasts: every
// message is answered, nobody is forgotten, and nobody ends but those who leave.
func TestRestStress(t *testing.T) {
	for _, name := range []string{"TCP", "TLS 1.3"} {
		t.Run(name, func(t *testing.T) { restStress(t, overs[name]) })
	}
}

func restStress(t *testing.T, over uint16) {
	n, rounds := 500, 30
	if testing.Short() {
		n, rounds = 50, 20
	}
	if over != 0 {
		n /= 4 // each has a handshake to do
	}
	gw, srv := resting(t, 3*time.Millisecond, over, echo())
	quiet := makeNoise(gw, 2*time.Millisecond)
	var clients sync.WaitGroup
	for i := range n {
		p := restDial(t, srv, over)
		clients.Go(func() {
			if err := talkAndRest(p, rounds, i); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
		if i%4 == 0 { // some are cut, some closed, at any moment
			p := restDial(t, srv, over)
			clients.Go(func() { leaveAtRandom(p, i%8 == 0) })
		}
	}
	clients.Wait()
	checkStress(t, gw, n)
	quiet() // serveTCP looks for what is left behind
}

// makeNoise sends broadcasts, and the sockets to rest, until quiet is called.
func makeNoise(gw *gateway.Handler, every time.Duration) (quiet func()) {
	stop := make(chan struct{})
	var noise sync.WaitGroup
	noise.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(every):
				gw.All().Send(context.Background(), gateway.Binary([]byte{1}))
				gateway.Rest(gw) // and not Sweep: what that owns, the sweeper does
			}
		}
	})
	return func() { close(stop); noise.Wait() }
}

// checkStress ends the sockets of n clients that have talked, of whom a quarter had one beside
// them that left.
func checkStress(t *testing.T, gw *gateway.Handler, n int) {
	t.Helper()
	eventually(t, "rest", func() bool { return gw.Stats().Resting == n && gw.Stats().Open == n })
	left := map[gateway.Cause]uint64{gateway.CauseClient: uint64((n + 3) / 8),
		gateway.CauseConnectionLost: uint64((n + 7) / 8)}
	if closed := gw.Stats().Closed; !maps.Equal(closed, left) {
		t.Errorf("the sockets that have ended are %v, want %v", closed, left)
	}
	if closed, err := gw.CloseAll(t.Context()); closed != n || err != nil {
		t.Errorf("CloseAll = %d, %v, want %d", closed, err, n)
	}
}

// leaveAtRandom ends a client after some time: with a close frame, or by cutting its
// connection.
func leaveAtRandom(p *rawPeer, cut bool) {
	time.Sleep(rand.N(20 * time.Millisecond))
	if !cut {
		p.conn.Write(masked(0x88, "\x03\xe8bye"))
		io.Copy(io.Discard, p.br)
	}
	p.conn.Close()
}

// talkAndRest sends messages with pauses around the time after which a socket rests,
// some in two parts, and checks that each is echoed, in order.
func talkAndRest(p *rawPeer, rounds, seed int) error {
	random := rand.New(rand.NewPCG(uint64(seed), 1))
	for i := range rounds {
		time.Sleep(time.Duration(random.IntN(12)) * time.Millisecond)
		text := fmt.Sprint(seed, "/", i)
		frame := masked(0x81, text)
		half := random.IntN(len(frame))
		if _, err := p.conn.Write(frame[:half]); err != nil {
			return err
		}
		if random.IntN(2) == 0 {
			time.Sleep(time.Duration(random.IntN(5)) * time.Millisecond)
		}
		if _, err := p.conn.Write(frame[half:]); err != nil {
			return err
		}
		for {
			first, got, err := readFrame(p.br)
			if err != nil {
				return err
			}
			if first == 0x82 {
				continue // of the noise
			}
			if got != text {
				return fmt.Errorf("echo %d = %q, want %q", i, got, text)
			}
			break
		}
	}
	return nil
}
