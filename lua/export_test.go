package lua

// Used returns what all VMs of a host are charged, and how many runs compute, wait
// for a turn, and wait for memory.
func (h *Host) Used() (memory int64, computing, waiting, short int) {
	b := h.bounds
	b.memory.mu.Lock()
	memory, short = b.memory.used, len(b.memory.starting)+len(b.memory.growing)
	b.memory.mu.Unlock()
	b.turns.mu.Lock()
	defer b.turns.mu.Unlock()
	return memory, len(b.turns.holders), int(b.turns.waiting.Load()), short
}

// Idle returns what the idle VMs of the current solution are charged.
func (h *Host) Idle() (held int64) {
	p := h.current.Load()
	p.pool.mu.Lock()
	defer p.pool.mu.Unlock()
	for _, m := range p.pool.idle {
		held += m.charge
	}
	return held
}
