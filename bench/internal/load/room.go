package load

import (
	"net"
	"runtime"
	"sync/atomic"
)

const (
	// spare is how many descriptors a process needs for other things than connections.
	spare = 500
	// perSource is how many connections are made from an address before the next.
	perSource = 5_000
	// onePort is how many connections to a server one address can have, with what is left
	// of earlier ones.
	onePort = 15_000
)

// Room is how many connections to one server this process can have: as many as it may
// have descriptors, the server's process as well, and as there are ports.
func Room() int {
	n := descriptors() - spare
	if !manySources {
		n = min(n, onePort)
	}
	return max(n, 0)
}

// manySources says that all of 127.0.0.0/8 is this machine.
const manySources = runtime.GOOS == "linux"

var sources atomic.Uint32

// nextSource is the address to connect from: one of two hundred of the loopback interface,
// by turns, so that ports which wait for the end of an earlier connection are not needed
// soon. It is nil where there is one only.
func nextSource() net.Addr {
	if !manySources {
		return nil
	}
	turn := sources.Add(1) / perSource % 200
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+turn))}
}
