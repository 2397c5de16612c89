package gateway

// The order of the gateway's locks: one may be taken while those of lower levels are
// held, and no others. Package internal/lockorder checks it in builds with the tag
// lockorder. The table in ARCHITECTURE.md says what each guards.
type (
	rankPool       struct{}
	rankRoutes     struct{}
	rankHub        struct{}
	rankSocket     struct{}
	rankShard      struct{}
	rankGroupShard struct{}
	rankGroup      struct{}
	rankOutbox     struct{}
	rankWatch      struct{}
	rankRester     struct{}
	rankCrew       struct{}
	rankContext    struct{}
	rankFanout     struct{}
	rankCounts     struct{}
	rankTracer     struct{}
)

func (rankPool) Rank() (int, string)       { return 1, "pool.mu" }
func (rankRoutes) Rank() (int, string)     { return 2, "routes.mu" }
func (rankHub) Rank() (int, string)        { return 3, "hub.mu" }
func (rankSocket) Rank() (int, string)     { return 4, "Socket.mu" }
func (rankShard) Rank() (int, string)      { return 5, "shard.mu" }
func (rankGroupShard) Rank() (int, string) { return 6, "groupShard.mu" }
func (rankGroup) Rank() (int, string)      { return 7, "group.mu" }
func (rankOutbox) Rank() (int, string)     { return 8, "outbox.mu" }
func (rankWatch) Rank() (int, string)      { return 9, "sweeper.mu" }
func (rankRester) Rank() (int, string)     { return 10, "rester.mu" }
func (rankCrew) Rank() (int, string)       { return 11, "crew.mu" }
func (rankContext) Rank() (int, string)    { return 12, "socketContext.mu" }
func (rankFanout) Rank() (int, string)     { return 13, "fanout.mu" }
func (rankCounts) Rank() (int, string)     { return 14, "counts.mu" }
func (rankTracer) Rank() (int, string)     { return 15, "tracer.mu" }
