package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/wsgateway/gateway/bench/internal/serve"
)

// A turn is one batch of events of one endpoint.
type turn struct {
	cpu    float64 // microseconds of the serving process, each event
	rate   float64 // events per second
	allocs float64 // objects, each event
}

// measureTurns lets all endpoints take turns. It returns those of each, by name;
// turns of the same index are of the same round.
func measureTurns(ctx context.Context, s size) (map[string][]turn, error) {
	var all []*process
	defer func() {
		for _, p := range all {
			_ = p.stop() // the error that counts was returned
		}
	}()
	for _, e := range endpoints {
		p, err := start(ctx, e)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	turns := map[string][]turn{}
	for round := range s.rounds + 1 {
		for i := range all {
			p := all[(i+round)%len(all)]
			t, err := p.turn(s.batch)
			if err != nil {
				return nil, err
			}
			if round > 0 { // the first warms up
				turns[p.name] = append(turns[p.name], t)
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
	}
	return turns, nil
}

// turn sends n events, spread over the clients, and awaits the answers.
func (p *process) turn(n int) (turn, error) {
	before, err := p.used()
	if err != nil {
		return turn{}, err
	}
	began := time.Now()
	errs := make([]error, len(p.clients))
	var wg sync.WaitGroup
	for i, c := range p.clients {
		wg.Go(func() { errs[i] = c.send(n / len(p.clients)) })
	}
	wg.Wait()
	took := time.Since(began)
	after, err := p.used()
	if err := errors.Join(append(errs, err)...); err != nil {
		return turn{}, errors.Join(errors.New(p.name), err)
	}
	return perEvent(before, after, took, n), nil
}

func perEvent(before, after serve.Usage, took time.Duration, n int) turn {
	return turn{
		cpu:    float64((after.CPU - before.CPU).Nanoseconds()) / 1e3 / float64(n),
		rate:   float64(n) / took.Seconds(),
		allocs: float64(after.Allocs-before.Allocs) / float64(n),
	}
}

// An age is how an endpoint does after many events, against one that begins.
type age struct {
	events       int
	young, later []turn // turns of the same index are of the same round
}

// measureAge lets the typical script run for long, and then take turns with the
// same in a new process.
func measureAge(ctx context.Context, s size) (a age, err error) {
	e, err := find("typical, Lua")
	if err != nil {
		return a, err
	}
	old, err := start(ctx, e)
	if err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, old.stop()) }()
	for a.events = 0; a.events < s.long; a.events += s.batch {
		if _, err := old.turn(s.batch); err != nil {
			return a, errors.Join(err, ctx.Err())
		}
	}
	young, err := start(ctx, e)
	if err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, young.stop()) }()
	if _, err := young.turn(1000); err != nil {
		return a, err
	}
	for range s.rounds {
		for _, one := range []struct {
			p     *process
			turns *[]turn
		}{{old, &a.later}, {young, &a.young}} {
			t, err := one.p.turn(s.batch / 4) // young ones stay so for a while
			if err := errors.Join(err, ctx.Err()); err != nil {
				return a, err
			}
			*one.turns = append(*one.turns, t)
		}
	}
	return a, nil
}
