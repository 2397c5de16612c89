package cluster

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/internal/hostlog"
)

// Options configure a [Node]. A nil *Options, like the zero value, is all defaults.
type Options struct {
	// Name is the node's name: 10 characters of a to z and 2 to 7. It must never have
	// been used before, by no process; so leave it empty for a random one.
	Name string

	// Version is shown by Nodes. Empty means the version of the program's main module,
	// or its revision.
	Version string

	// Heartbeat is the time between two signs of life. A node from which none came in
	// three of its own is lost: what it owns is unreachable. Zero means 500 ms.
	Heartbeat time.Duration

	// GoneAfter is how long a lost node is waited for. Then its sockets are not_found.
	// Zero means a minute.
	GoneAfter time.Duration

	// CallTimeout bounds the wait for an answer where the caller's context has no
	// deadline. Zero means 5 seconds.
	CallTimeout time.Duration

	// MaxNodes bounds the nodes that are known at a time; signs of more are dropped and
	// counted. Zero means 1,000.
	MaxNodes int

	// MaxGroups bounds how many groups are kept of each other node, 16 bytes and the
	// map's share for each. A node that has more is asked about every group. Zero means
	// 2,000,000.
	MaxGroups int

	// MaxQueuedBytes bounds what waits to be handed to the transport for one node. Calls
	// beyond it are unreachable. Zero means 64 MiB.
	MaxQueuedBytes int

	// MaxSlow bounds the questions of other nodes that are answered in goroutines of
	// their own: SendSync, SendWait, and pages of lists. Calls beyond it are unreachable. Zero
	// means 256.
	MaxSlow int

	// OnState is called when the connection is lost and when it is there again; calls
	// do not overlap. While it is lost, this node's sockets stay and work, and nothing
	// reaches the other nodes. Who would rather have the clients elsewhere can close
	// them here. Nil does nothing.
	OnState func(up bool, cause error)

	// Logger receives what happens to the cluster. Nil means slog.Default(),
	// asked anew for each line.
	Logger *slog.Logger
}

// check returns the options with the defaults filled in, or what is wrong.
func (o *Options) check() (Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	if c.Name == "" {
		c.Name = strings.ToLower(rand.Text()[:nameLen])
	}
	if !gateway.ValidNode(c.Name) {
		return c, fmt.Errorf("cluster: Options.Name %.40q is not 10 characters of a to z and 2 to 7; "+
			"leave it empty for a random name", c.Name)
	}
	for name, v := range map[string]int64{
		"Heartbeat": int64(c.Heartbeat), "GoneAfter": int64(c.GoneAfter),
		"CallTimeout": int64(c.CallTimeout),
		"MaxNodes":    int64(c.MaxNodes), "MaxGroups": int64(c.MaxGroups),
		"MaxQueuedBytes": int64(c.MaxQueuedBytes), "MaxSlow": int64(c.MaxSlow),
	} {
		if v < 0 {
			return c, fmt.Errorf("cluster: Options.%s is negative; leave it at 0 for the default", name)
		}
	}
	c.Heartbeat = cmp.Or(c.Heartbeat, 500*time.Millisecond)
	c.GoneAfter = cmp.Or(c.GoneAfter, time.Minute)
	c.CallTimeout = cmp.Or(c.CallTimeout, 5*time.Second)
	c.MaxNodes = cmp.Or(c.MaxNodes, 1000)
	c.MaxGroups = cmp.Or(c.MaxGroups, 2_000_000)
	c.MaxQueuedBytes = cmp.Or(c.MaxQueuedBytes, 64<<20)
	c.MaxSlow = cmp.Or(c.MaxSlow, 256)
	if c.Heartbeat < minHeartbeat || c.Heartbeat > maxHeartbeat {
		return c, fmt.Errorf("cluster: Options.Heartbeat is %v; it must be %v to %v", c.Heartbeat,
			minHeartbeat, maxHeartbeat)
	}
	if c.GoneAfter < leases*c.Heartbeat {
		return c, fmt.Errorf("cluster: Options.GoneAfter is %v; it must be at least %d heartbeats of %v",
			c.GoneAfter, leases, c.Heartbeat)
	}
	c.Logger = hostlog.Logger(c.Logger)
	if c.Version == "" {
		c.Version = programVersion()
	}
	c.Version = strings.ToValidUTF8(c.Version, "")
	if len(c.Version) > maxVersionText {
		return c, fmt.Errorf("cluster: Options.Version has %d bytes; it must have at most %d",
			len(c.Version), maxVersionText)
	}
	return c, nil
}

const (
	nameLen        = 10
	minHeartbeat   = 10 * time.Millisecond
	maxHeartbeat   = time.Minute
	maxVersionText = 64
	leases         = 3 // heartbeats that a node may miss
)

func programVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	version := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (version == "" || version == "(devel)") {
			version = s.Value
		}
	}
	return version[:min(len(version), maxVersionText)]
}
