package workloads

import (
	"slices"
	"time"

	"github.com/wsgateway/gateway/bench/internal/load"
	"github.com/wsgateway/gateway/bench/internal/serve"
)

// Ours is the name of the server that is compared with the others.
const Ours = "gateway"

// Peers are the servers that "the best peer" is one of: libraries for Go.
var Peers = []string{"coder", "gorilla", "melody", "gws", "nbio", "centrifuge"}

// The servers of a workload. The slowest are only in those that show what they are like.
var (
	withPeers = []string{"coder", "gorilla", "melody", "gws", "nbio", "centrifuge", serve.Bun, Ours}
	withRaw   = append([]string{"raw"}, withPeers...)
	best      = []string{"gorilla", "gws", "nbio", serve.Bun, Ours}
	bestRaw   = append([]string{"raw"}, best...)
	fromTen   = []string{"gateway-10", "gateway-1k", "gateway-100k"}
	fromOneK  = []string{"gateway-1k", "gateway-10k", "gateway-100k"}
)

// noRest is the gateway whose sockets do not rest.
const noRest = "gateway-norest"

// idlers is how many idle sockets there are.
const idlers = 3_000

const idleNote = "3,000 sockets with a browser's headers, after some seconds of silence and " +
	"garbage collection"

// flood is for workloads whose clients send more than five messages per second.
var flood = serve.Config{Flood: true}

// All is every workload, in the order of the tables.
var All = append(compared, tricks...)

var compared = []*Workload{
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
		Servers: bestRaw, run: echo(100, load.Echo{Sizes: []int{1 << 10}, Window: 1}),
		Config: flood,
	},
	{
		Key: "binary", Title: "echo 1 KiB, binary", Unit: "message", Metric: CPU,
		Servers: best, run: echo(100, load.Echo{Sizes: []int{1 << 10}, Window: 1, Binary: true}),
		Config: flood,
	},
	{
		Key: "echo64k", Title: "echo 64 KiB", Unit: "message", Metric: CPU,
		Servers: bestRaw,
		run:     echo(100, load.Echo{Sizes: []int{64 << 10}, Window: 1}),
		Config:  flood,
	},
	{
		Key: "deflate", Title: "echo 1 KiB, compressed", Unit: "message", Metric: CPU,
		Servers: best, run: echo(100, load.Echo{Sizes: []int{1 << 10}, Window: 1}),
		Config: serve.Config{Flood: true, Deflate: true},
	},
	{
		Key: "tls", Title: "echo 64 B over TLS", Unit: "message", Metric: CPU,
		Servers: bestRaw, run: echo(100, load.Echo{Sizes: []int{64}, Window: 1}),
		Config: serve.Config{Flood: true, TLS: true},
	},
	{
		Key: "mixed", Title: "10,000 sockets, 500 talk 20 times a second", Unit: "message", Metric: CPU,
		Servers: bestRaw, run: mixed(10_000, 500, load.Echo{
			Sizes: []int{64, 64, 64, 64, 1 << 10}, Window: 1, Interval: 50 * time.Millisecond,
		}),
		Config: flood,
		Note: "paced, when the others have been silent for some seconds; latency counts from the " +
			"time at which a message was due",
	},
	{
		Key: "broadcast", Title: "50 broadcasts of 128 B to 2,000 sockets", Unit: "delivery", Metric: CPU,
		Servers: withPeers, run: broadcasts(2_000, 50, 128),
	},
	{
		Key: "single", Title: "one broadcast of 128 B to 5,000 sockets", Unit: "delivery", Metric: Last,
		Servers: []string{"gws", "nbio", "centrifuge", serve.Bun, Ours}, run: single(5_000, 128),
	},
	{
		Key: "send", Title: "300,000 sends of 64 B to random ids among 1,000", Unit: "send", Metric: CPU,
		Servers: withPeers, run: sends(1_000, 300_000, 64), Config: serve.Config{Buffer: 1024},
		Note: "melody has room for 1,024 messages per socket here, or it would lose some",
	},
	{
		Key: "stalled", Title: "broadcasts to 1,000 sockets of which one stalls", Unit: "delivery",
		Metric:  Slowdown,
		Servers: []string{"melody", "gws", "nbio", "centrifuge", serve.Bun, Ours}, run: stalled(1_000),
		Note: "time until the others have 20 messages of 1 KiB, over the same while all read; above 3 " +
			"s counts as 3 s",
	},
	{
		Key: "idle", Title: "idle socket that has said nothing", Unit: "socket", Metric: Resident,
		Servers: bestRaw, run: idle(idlers, silent), Note: idleNote,
		Connections: idlers, Memory: true,
	},
	{
		Key: "idleused", Title: "idle socket after one message", Unit: "socket", Metric: Resident,
		Servers: best, run: idle(idlers, usedAll), Note: "when all had connected; " + idleNote,
		Connections: idlers, Memory: true,
	},
	{
		Key: "idlenow", Title: "idle socket that has said one thing right after connecting",
		Unit: "socket", Metric: Resident,
		Servers: withRaw, run: idle(idlers, usedNow), Note: idleNote,
		Connections: idlers, Memory: true,
	},
	{
		Key: "idletls", Title: "idle socket under TLS that has said one thing", Unit: "socket",
		Metric:  Resident,
		Servers: best, run: idle(idlers, usedNow), Note: idleNote,
		Config: serve.Config{TLS: true}, Connections: idlers, Memory: true,
	},
	{
		Key: "wake", Title: "4,000 sockets, each says one thing every 2 s", Unit: "message",
		Metric:  CPU,
		Servers: []string{"gws", "nbio", serve.Bun, noRest, Ours}, run: wakes(4_000, 2*time.Second),
		Config: serve.Config{Rest: time.Second}, Connections: 4_000,
		Note: "the gateway's sockets rest after 1 s, so each message wakes one",
	},
	{
		Key: "talkers", Title: "500 sockets talk 20 times a second among 50,000 at rest",
		Unit: "message", Metric: P99,
		Servers: []string{noRest, Ours}, run: talkers(50_000, 500,
			load.Echo{Sizes: []int{64}, Window: 1, Interval: 50 * time.Millisecond}),
		Config:      serve.Config{Flood: true, Rest: time.Second},
		Connections: 50_000, Fewer: true,
		Note: "as many sockets as there are descriptors for, if that is less; memory of the kernel " +
			"is what it holds in all for a connection, both of whose ends are on this machine",
	},
	{
		Key: "pings", Title: "2,000 silent sockets, pinged every 2 s", Unit: "ping", Metric: CPU,
		Servers: []string{noRest, Ours}, run: pings(2_000),
		Config:      serve.Config{Rest: time.Second, Ping: 2 * time.Second},
		Connections: 2_000,
		Note: "with everything that it takes until the pong has been looked at, and sockets " +
			"rest again",
	},
	{
		Key: "many", Title: "100,000 sockets that have said one thing", Unit: "socket",
		Metric:  Resident,
		Servers: []string{"gws", "nbio", serve.Bun, Ours}, run: many(100_000), Connections: 100_000,
		Note: "from many addresses of the loopback interface; the CPU is that of connecting, and " +
			"then one message reaches all",
	},
	{
		Key: "connect", Title: "connect and close", Unit: "socket", Metric: CPU,
		Servers: bestRaw, run: churn(16),
	},
	{
		Key: "storm", Title: "5,000 sockets lost and back", Unit: "socket", Metric: CPU,
		Servers: best, run: storm(5_000),
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
		Servers: []string{"gateway-1k", "gateway-100k", "map-1k", "map-100k"}, run: spread,
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
	out := append(append([]string{"raw"}, Peers...), serve.Bun)
	for _, w := range All {
		for _, s := range w.Servers {
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	return out
}
