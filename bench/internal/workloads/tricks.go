package workloads

import (
	"github.com/wsgateway/gateway/bench/internal/load"
	"github.com/wsgateway/gateway/bench/internal/serve"
)

// tricks are what makes the gateway cheap, one by one: the workload that shows it, by the
// gateway and by a variant that does not have it.
var tricks = []*Workload{
	{
		Key: "trick-inside", Trick: "messages served inside the read that brought them",
		Title: "echo 64 B, 100 sockets, one in flight", Unit: "message", Metric: CPU,
		Servers: []string{Ours, "gateway-hooked"}, Config: flood,
		run:  echo(100, load.Echo{Sizes: []int{64}, Window: 1}),
		Note: "without: a server with a ConnState hook, to which it does not apply",
	},
	{
		Key: "trick-direct", Trick: "the first reply of an event written by its reader",
		Title: "echo 64 B, 100 sockets, one in flight", Unit: "message", Metric: CPU,
		Servers: []string{Ours, "gateway-indirect"}, Config: flood,
		run:  echo(100, load.Echo{Sizes: []int{64}, Window: 1}),
		Note: "without: replies sent as if by another goroutine",
	},
	{
		Key: "trick-collect", Trick: "later replies collected into one write",
		Title: "echo 64 B, 100 sockets, 16 in flight", Unit: "message", Metric: CPU,
		Servers: []string{Ours, "gateway-sync"}, Config: flood,
		run:  echo(100, load.Echo{Sizes: []int{64}, Window: 16}),
		Note: "without: SendSync, a write for each",
	},
	{
		Key: "trick-rawio", Trick: "the descriptor read and written by us, without a buffer that stays",
		Title: "echo 64 B, 100 sockets, one in flight", Unit: "message", Metric: CPU,
		Servers: []string{Ours, "gateway-wrapped"}, Config: flood,
		run:  echo(100, load.Echo{Sizes: []int{64}, Window: 1}),
		Note: "without: connections that hide their descriptor, as those under TLS have none",
	},
	{
		Key: "trick-release", Trick: "received memory given back by Release",
		Title: "echo 64 KiB", Unit: "message", Metric: CPU,
		Servers: []string{Ours, "gateway-keep"}, Config: flood,
		run:  echo(100, load.Echo{Sizes: []int{64 << 10}, Window: 1}),
		Note: "without: an endpoint that does not call it",
	},
	{
		Key: "trick-rest", Trick: "silent sockets without a goroutine",
		Title: "idle socket that has said one thing right after connecting", Unit: "socket",
		Metric: Resident, Servers: []string{Ours, noRest}, run: idle(idlers, usedNow),
		Connections: idlers, Memory: true,
		Note: "without: RestAfter negative",
	},
	{
		Key: "trick-once", Trick: "one encoding of a broadcast, written by all cores",
		Title: "50 broadcasts of 128 B to 2,000 sockets", Unit: "delivery", Metric: CPU,
		Servers: []string{Ours, "gateway-each"}, run: broadcasts(2_000, 50, 128),
		Note: "without: a send to each socket",
	},
	{
		Key: "trick-workers", Trick: "a few workers that write what several sends left",
		Title: "300,000 sends of 64 B to random ids among 1,000", Unit: "send", Metric: CPU,
		Servers: []string{Ours, "gateway-sync"}, run: sends(1_000, 30_000, 64),
		Config: serve.Config{Buffer: 1024},
		Note:   "without: SendSync, a write for each; 30,000 sends",
	},
	{
		Key: "trick-frames", Trick: "waiting messages that share buffers",
		Title: "300,000 sends of 64 B to random ids among 1,000", Unit: "send", Metric: CPU,
		Servers: []string{Ours, "gateway-keyed"}, run: sends(1_000, 300_000, 64),
		Config: serve.Config{Buffer: 1024},
		Note:   "without: a key in each message, which then keeps a frame of its own",
	},
}

// Earlier are the tricks that cannot be left out any more, with what they gave when they
// were made, as ARCHITECTURE.md has it under "Speed: what was tried".
var Earlier = []struct{ Trick, Gave string }{
	{"messages of one frame read past the library",
		"echo: 1.2 to 1.1 × plain TCP; 16 in flight: 1.4 to 0.83 µs"},
	{"large frames received into their own buffer", "echo of 64 KiB: 155 to 56 µs"},
	{"a few workers where writes can only block, not a goroutine for each member",
		"group of 100,000 in memory: 1.5 to 0.5 µs a delivery; sends: 0.6 to 0.4 µs"},
	{"a core left to a large fan-out while it is being queued",
		"broadcast: 0.36 to 0.30 µs a delivery"},
	{"events passed on by reference, a context that answers without a lock", "echo: 0.1 µs"},
	{"what a send touches of a socket side by side", "a twentieth, with 100,000 sockets"},
	{"a send written behind the message before it", "sends to ids: a tenth"},
	{"unmasking 64 bytes at a time", "half the time of unmasking"},
	{"the 101 answer written by us, control frames past the library",
		"connect and close: 1.5 to 1.13 × gorilla"},
	{"no timer and no deadline for the ordinary close",
		"connect and close: 1.13 to 1.07–1.14 × gorilla"},
	{"the 101 written past the queue", "connect and close: 1.14 to 1.10 × gorilla"},
	{"an event's calls in 4 KB of stack, which has grown before they come",
		"connect and close: 2 %; 5,000 lost and back: 7 %"},
	{"long messages dealt with before their reader waits in line",
		"echo of 64 KiB: 1.34 to 1.13–1.18 × gws"},
}
