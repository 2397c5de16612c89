package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
)

// TestRestSoak is TestRestStress with as many sockets as GATEWAY_SOAK says, such as 20000. It
// takes minutes. The clients are in a process of their own, for each side of a connection
// needs a descriptor.
func TestRestSoak(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("GATEWAY_SOAK"))
	if err != nil {
		t.Skip("GATEWAY_SOAK does not say how many sockets")
	}
	gw := gateway.New(&gateway.Options{
		Logger: slog.New(slog.DiscardHandler), RestAfter: 3 * time.Millisecond, MaxSocketsPerAddr: -1,
		Limits: gateway.Limits{MessagesPerSecond: -1, PingInterval: -1},
	})
	gw.Handle("/", echo())
	srv := serveTCP(t, gw, false)
	clients := exec.Command(os.Args[0], "-test.run=^TestRestSoakClients$")
	clients.Env = append(os.Environ(), "GATEWAY_SOAK_AT="+srv.Listener.Addr().String())
	clients.Stderr = os.Stderr
	out, err := clients.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := clients.Start(); err != nil {
		t.Fatal(err)
	}
	quiet := makeNoise(gw, time.Duration(n)*4*time.Microsecond)
	said := bufio.NewScanner(out)
	for said.Scan() && said.Text() != soakOver {
		t.Log(said.Text())
	}
	checkStress(t, gw, n)
	quiet()
	for said.Scan() {
		t.Log(said.Text())
	}
	if err := clients.Wait(); err != nil {
		t.Errorf("the clients: %v", err)
	}
}

const soakOver = "every client has had its echoes"

// TestRestSoakClients are the clients of TestRestSoak.
func TestRestSoakClients(t *testing.T) {
	at := os.Getenv("GATEWAY_SOAK_AT")
	if at == "" {
		t.Skip("not the process of TestRestSoak's clients")
	}
	n, err := strconv.Atoi(os.Getenv("GATEWAY_SOAK"))
	if err != nil {
		t.Fatal(err)
	}
	dial := func() *rawPeer {
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		p := newRawPeer(t, conn)
		p.upgrade("/")
		return p
	}
	var talked, ended sync.WaitGroup
	talked.Add(n)
	for i := range n {
		p := dial()
		ended.Go(func() {
			if err := talkAndRest(p, 20, i); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
			talked.Done()
			io.Copy(io.Discard, p.br) // what the others are sent, until the end
		})
		if i%4 == 0 { // some are cut, some closed, at any moment
			p := dial()
			ended.Go(func() { leaveAtRandom(p, i%8 == 0) })
		}
	}
	talked.Wait()
	fmt.Println(soakOver)
	ended.Wait()
}
