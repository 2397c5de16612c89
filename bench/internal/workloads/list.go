package workloads

import (
	"slices"
	"time"

	"github.com/wsgateway/gateway/bench/internal/load"
	"github.com/wsgateway/gateway/bench/internal/serve"
)

// Ours is the name of the server that is compared with the others.
const Ours = "gateway"

// Peers are the servers that "the best peer" is one of.
var Peers = []string{"coder", "gorilla", "melody", "gws", "centrifuge"}

// The servers of a workload.
var (
	websockets = []string{"coder", "gorilla", "melody", "gws", Ours}
	withPeers  = []string{"coder", "gorilla", "melody", "gws", "centrifuge", Ours}
	withRaw    = []string{"raw", "coder", "gorilla", "melody", "gws", "centrifuge", Ours}
	fromTen    = []string{"gateway-10", "gateway-100", "gateway-1k", "gateway-10k", "gateway-100k"}
	fromOneK   = []string{"gateway-1k", "gateway-10k", "gateway-100k"}
)

// flood is for workloads whose clients send more than five messages per second.
var flood = serve.Config{Flood: true}

// All is every workload, in the order of the tables.
var All = []*Workload{
	{
		Key: "echo", Title: "echo 64 B, 100 sockets, one in flight", Unit: "message", Metric: CPU,
		Servers: withRaw, run: echo(100, load.Echo{Sizes: []int{64}, Window: 1}),
		Config: flood,
	},
	{
		Key: "echo16", Title: "echo 64 B, 100 sockets, 16 in flight", Unit: "message", Metric: CPU,
		Servers: withRaw, run: echo(100, load.Echo{Sizes: []int{64}, Window: 16}),
		Config: flood,
	},
	{
		Key: "echo1k", Title: "echo 1 KiB", Unit: "message", Metric: CPU,
		Servers: withRaw, run: echo(100, load.Echo{Sizes: []int{1 << 10}, Window: 1}),
		Config: flood,
	},
	{
		Key: "binary", Title: "echo 1 KiB, binary", Unit: "message", Metric: CPU,
		Servers: websockets, run: echo(100, load.Echo{Sizes: []int{1 << 10}, Window: 1, Binary: true}),
		Config: flood,
	},
	{
		Key: "echo64k", Title: "echo 64 KiB", Unit: "message", Metric: CPU,
		Servers: append([]string{"raw"}, websockets...),
		run:     echo(100, load.Echo{Sizes: []int{64 << 10}, Window: 1}),
		Config:  flood,
	},
	{
		Key: "deflate", Title: "echo 1 KiB, compressed", Unit: "message", Metric: CPU,
		Servers: websockets, run: echo(100, load.Echo{Sizes: []int{1 << 10}, Window: 1}),
		Config: serve.Config{Flood: true, Deflate: true},
	},
	{
		Key: "tls", Title: "echo 64 B over TLS", Unit: "message", Metric: CPU,
		Servers: withRaw, run: echo(100, load.Echo{Sizes: []int{64}, Window: 1}),
		Config: serve.Config{Flood: true, TLS: true},
	},
	{
		Key: "mixed", Title: "10,000 sockets, 500 talk 20 times a second", Unit: "message", Metric: CPU,
		Servers: withRaw, run: mixed(10_000, 500, load.Echo{
			Sizes: []int{64, 64, 64, 64, 1 << 10}, Window: 1, Interval: 50 * time.Millisecond,
		}),
		Config: flood,
		Note:   "paced; latency counts from the time at which a message was due",
	},
	{
		Key: "broadcast", Title: "50 broadcasts of 128 B to 2,000 sockets", Unit: "delivery", Metric: CPU,
		Servers: withPeers, run: broadcasts(2_000, 50, 128),
	},
	{
		Key: "single", Title: "one broadcast of 128 B to 5,000 sockets", Unit: "delivery", Metric: Last,
		Servers: withPeers, run: single(5_000, 128),
	},
	{
		Key: "send", Title: "300,000 sends of 64 B to random ids among 1,000", Unit: "send", Metric: CPU,
		Servers: withPeers, run: sends(1_000, 300_000, 64), Config: serve.Config{Buffer: 1024},
		Note: "melody has room for 1,024 messages per socket here, or it would lose some",
	},
	{
		Key: "stalled", Title: "broadcasts to 1,000 sockets of which one stalls", Unit: "delivery",
		Metric:  Slowdown,
		Servers: withPeers, run: stalled(1_000),
		Note: "time until the others have 20 messages of 1 KiB, over the same while all read; above 3 " +
			"s counts as 3 s",
	},
	{
		Key: "idle", Title: "idle socket that has said nothing", Unit: "socket", Metric: Resident,
		Servers: withRaw, run: idle(8_000, silent),
		Note: "8,000 sockets with a browser's headers, after some seconds of silence and garbage " +
			"collection",
	},
	{
		Key: "idleused", Title: "idle socket after one message", Unit: "socket", Metric: Resident,
		Servers: withRaw, run: idle(8_000, usedAll),
		Note: "8,000 sockets with a browser's headers, after some seconds of silence and garbage " +
			"collection",
	},
	{
		Key: "idlenow", Title: "idle socket that has said one thing right after connecting",
		Unit: "socket", Metric: Resident,
		Servers: withRaw, run: idle(8_000, usedNow),
		Note: "8,000 sockets with a browser's headers, after some seconds of silence and garbage " +
			"collection",
	},
	{
		Key: "connect", Title: "connect and close", Unit: "socket", Metric: CPU,
		Servers: withRaw, run: churn(16),
	},
	{
		Key: "storm", Title: "5,000 sockets lost and back", Unit: "socket", Metric: CPU,
		Servers: withPeers, run: storm(5_000),
	},
	{
		Key: "features", Title: "echo 64 B, all features on and all off", Unit: "message", Metric: CPU,
		Servers: []string{"gateway-bare", "gateway-full"},
		run:     echo(100, load.Echo{Sizes: []int{64}, Window: 1}),
	},
	{
		Key: "lua", Title: "echo 64 B, 100 sockets, 16 in flight, endpoint in Go and in Lua",
		Unit: "message", Metric: CPU,
		Servers: []string{Ours, "gateway-lua"}, run: echo(100, load.Echo{Sizes: []int{64}, Window: 16}),
		Config: flood,
	},
	{
		Key: "registered", Title: "sends of 64 B to 1,000 of 1,000 to 100,000 sockets in memory",
		Unit: "send", Metric: CPU,
		Servers: fromOneK, run: registered,
		Note: "to the same ids by turns, however many are registered; " + crowdNote,
	},
	{
		Key: "spread", Title: "sends of 64 B to all of 1,000 to 100,000 sockets in memory", Unit: "send",
		Metric:  CPU,
		Servers: append(slices.Clone(fromOneK), "map-1k", "map-10k", "map-100k"), run: spread,
		Note: "to all ids by turns: the more, the fewer are in the processor's caches; map is a " +
			"program that does nothing " +
			"but look the id up in a Go map, encode, and write, and shows what is due to the caches; " +
			crowdNote,
	},
	{
		Key: "groups", Title: "64 B to a group of 10 to 100,000 sockets in memory", Unit: "delivery",
		Metric:  CPU,
		Servers: fromTen, run: groupSends,
		Note: "one message at a time, until all members have it; " + crowdNote,
	},
	{
		Key: "join", Title: "leave and join a group of 10 to 100,000 sockets in memory", Unit: "change",
		Metric:  CPU,
		Servers: fromTen, run: rejoins,
		Note: "a change is leaving and joining again",
	},
	{
		Key: "rooms", Title: "64 B to one of 100,000 groups of 10, 100,000 sockets in memory",
		Unit: "member", Metric: CPU,
		Servers: []string{"gateway-100k"}, run: rooms,
		Note: "each socket is in 10 groups, whose heap is that of the memberships; " + crowdNote,
	},
}

// Servers are all servers that any workload has, raw TCP and the peers first.
func Servers() []string {
	out := append([]string{"raw"}, Peers...)
	for _, w := range All {
		for _, s := range w.Servers {
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}
