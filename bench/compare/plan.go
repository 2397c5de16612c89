package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/wsgateway/gateway/bench/internal/report"
	"github.com/wsgateway/gateway/bench/internal/workloads"
)

// A plan is what is measured, in order: workload by workload, the servers in turns.
type plan struct {
	workloads []*workloads.Workload
	rounds    int
	scale     workloads.Scale
	profile   string
	out       io.Writer // for progress

	started time.Time

	mu   sync.Mutex // several servers may be measured at once
	done int        // steps
}

func (p *plan) steps() (n int) {
	for _, w := range p.workloads {
		n += p.rounds * len(w.Servers)
	}
	return n
}

// run measures until done or the context ends. What fails is noted in r.
func (p *plan) run(ctx context.Context, r *report.Run) {
	p.started = time.Now()
	for _, w := range p.workloads {
		for round := range p.rounds {
			// Each round begins with another server: none is always after the same one.
			turn := round % len(w.Servers)
			servers := append(slices.Clone(w.Servers[turn:]), w.Servers[:turn]...)
			for some := range slices.Chunk(servers, p.atOnce(w)) {
				if ctx.Err() != nil {
					return
				}
				var wg sync.WaitGroup
				for _, server := range some {
					wg.Go(func() { p.step(ctx, r, w, server, round) })
				}
				wg.Wait()
			}
		}
	}
}

func (p *plan) atOnce(w *workloads.Workload) int {
	if p.profile != "" {
		return 1
	}
	return w.AtOnce(p.scale)
}

func (p *plan) step(ctx context.Context, r *report.Run, w *workloads.Workload, server string,
	round int) {
	profile, err := p.profileName(w.Key, server)
	var s workloads.Sample
	if err == nil {
		s, err = w.Run(ctx, server, p.scale, profile)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	var what string
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		failed := fmt.Sprintf("%s, %s, round %d: %v", w.Key, server, round+1, err)
		r.Failed = append(r.Failed, failed)
		what = "FAILED: " + err.Error()
	default:
		r.Results.Put(w.Key, server, round, s)
		what = report.Figure(w, s)
	}
	fmt.Fprintf(p.out, "[%*d/%d, %s left] %s, round %d/%d: %-10s %s\n",
		len(fmt.Sprint(p.steps())), p.done, p.steps(), p.left(), w.Key, round+1, p.rounds, server, what)
}

// left is the time that the rest will take if it goes on like this.
func (p *plan) left() time.Duration {
	each := time.Since(p.started) / time.Duration(p.done)
	return (each * time.Duration(p.steps()-p.done)).Round(time.Second)
}

func (p *plan) profileName(workload, server string) (string, error) {
	if p.profile == "" {
		return "", nil
	}
	dir, err := filepath.Abs(p.profile)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, workload+"-"+server), os.MkdirAll(dir, 0o755)
}
