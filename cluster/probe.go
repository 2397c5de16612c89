package cluster

import "time"

// probeAfter is how long a call waits before its node is asked whether it is there at all.
const probeAfter = 50 * time.Millisecond

// prober looks after the calls that wait. A transport says when nobody listens for a frame,
// but for the frame that a node took with it into death there is no such word: who waits
// for its answer would wait for the lease. So while calls wait and their node is silent, an
// empty frame goes to it. It sleeps while no call waits.
func (n *Node) prober() {
	for {
		select {
		case <-n.callsWait:
		case <-n.stop:
			return
		}
		for sleep(stopContext{n.stop}, probeAfter) && n.probeWaiting(time.Now()) {
		}
	}
}

// asked wakes the prober unless it is awake.
func (n *Node) asked() {
	if !n.probing.Load() && n.probing.CompareAndSwap(false, true) {
		notify(n.callsWait)
	}
}

// probeWaiting probes the silent nodes for which calls wait, and reports whether there are
// calls that wait.
func (n *Node) probeWaiting(now time.Time) bool {
	n.probing.Store(false) // first: who asks from now on wakes the prober, or is seen below
	waiting := false
	for _, p := range n.list() {
		p.mu.Lock()
		calls := len(p.calls) > 0
		p.mu.Unlock()
		waiting = waiting || calls
		if calls {
			p.probe(now, probeAfter)
		}
	}
	if waiting {
		n.probing.Store(true)
	}
	return waiting
}

// probe sends an empty frame to a node that has been silent for as long: if it has died, the
// transport knows, once it has noticed itself. So it is asked again, at twice the silence
// each time, and once in a heartbeat at least.
func (p *peer) probe(now time.Time, silence time.Duration) {
	p.mu.Lock()
	l := &p.life
	due := l.state == leased && !l.foreign && len(p.frames) == 0 && !p.writer &&
		now.Sub(l.heard) >= silence &&
		(l.probed.Before(l.heard) ||
			now.Sub(l.probed) >= min(l.probed.Sub(l.heard), p.n.opts.Heartbeat))
	if due {
		l.probed = now
		p.newFrameLocked()
	}
	p.mu.Unlock()
	if due {
		p.flush()
	}
}

// checkLeases notes who is lost or gone, and gives up calls whose time is over. It comes
// late when this process slept or had no processor; the others are not to blame for that
// time, for what they sent in it is still to be read.
func (n *Node) checkLeases(now time.Time, late time.Duration) {
	for _, p := range n.list() {
		p.mu.Lock()
		p.failLocked(errPatient, func(c pending) bool {
			return !c.deadline.IsZero() &&
				now.After(c.deadline)
		})
		p.life.excused += late
		state, lease := p.life.state, p.life.lease
		silent := now.Sub(p.life.heard) - p.life.excused
		idle := len(p.calls) == 0
		p.mu.Unlock()
		switch {
		case state == unheard && idle:
			n.forgetUnheard(p.name)
		case state == leased && silent > lease:
			n.lose(p, "it is silent")
		case state == leased && silent > lease/2: // it has missed a beat
			p.probe(now, lease/2)
		case state == lost && silent > n.opts.GoneAfter:
			n.remove(p, false)
			n.log.Warn("node given up", "peer", p.name, "silent", silent)
		}
	}
}
