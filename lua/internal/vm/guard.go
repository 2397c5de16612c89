package vm

import (
	"context"
	"errors"
	"time"
)

// A Guard is what the host has to say while a run goes on: when it may compute, how
// much it may hold, and that it must end. An error of any method ends the run; no
// pcall catches it. A *[Stop] tells why.
type Guard interface {
	// Turn is called about every millisecond, with what the run has computed. It may
	// wait until it is the run's turn again.
	Turn(computed time.Duration) error

	// Leave is called before code of the host runs for a script, Return after it.
	// Return may wait as Turn does.
	Leave() error
	Return() error

	// Hold is told how many bytes the State holds, or may hold if they were not
	// counted, and returns how many it may: at most until then nothing is asked again.
	// It may wait for memory. With counted false it does not wait, and returns less
	// than held where the bytes have to be counted first.
	Hold(held int64, counted bool) (may int64, err error)

	// Output is told that n bytes will be sent or printed. It may wait until there is
	// room for them.
	Output(n int) error
}

// A Stop is the error of a [Guard] that ends a run.
type Stop struct {
	Budget string // the word for the bound; "" if the run has exceeded none
	Text   string
}

// Error returns the text.
func (s *Stop) Error() string { return s.Text }

// Ended is the word for runs that have exceeded no bound but whose context has
// ended.
const Ended = "ended"

// StopError is the error of a run that a [Guard] has not let begin; place is where
// its script begins, "CHUNK:LINE".
func StopError(err error, place string) error {
	var stop *Stop
	e := &Error{Message: place + ": the run was ended: " + err.Error(), Budget: Ended}
	if errors.As(err, &stop) && stop.Budget != Ended {
		e.Message, e.Budget = place+": "+overrunText+stop.Text, stop.Budget
	} else if stop != nil {
		e.Message = place + ": " + stop.Text
	}
	e.Value = e.Message
	return e
}

const overrunText = "script exceeded its budget: "

// endRun ends the run with what a Guard has returned.
func (s *State) endRun(err error) {
	var stop *Stop
	switch {
	case errors.As(err, &stop) && stop.Budget != Ended:
		s.overrun(stop.Budget, "%s", stop.Text)
	case stop != nil:
		s.endWith(Ended, stop.Text)
	case errors.Is(err, context.DeadlineExceeded):
		s.overrun("total", "took more than %v in all", s.cfg.Limits.Total)
	default:
		s.endWith(Ended, "the run was ended: "+err.Error())
	}
}

// breathe lets others compute once the run's slice is over. It must not panic: the
// error is for the caller to act on.
func (s *State) breathe(now time.Time) error {
	r := &s.run
	if now.Sub(r.slice) < slice && r.used-r.sliceUsed < sliceInstructions {
		return nil
	}
	var err error
	if s.Guard != nil {
		s.countHeap()
		r.meter.end(now)
		err = s.Guard.Turn(r.meter.computed)
		now = time.Now()
		r.meter.begin(now, true)
		s.readHeap()
	}
	r.slice, r.sliceUsed, r.last = now, r.used, now
	return err
}

// pauseCost is what calling the host counts, in instructions.
const pauseCost = 100

// shortRun is for how many instructions and calls of the host a run is too short to
// have allocated much without being seen.
const (
	shortRun    = 10_000
	shortPauses = 4
)

// Pause runs f, which is the host's. What it takes does not count as computed, but
// as a part of the whole time. That it is called counts, or a loop of calls would
// have no end. Pause does not return if the run has ended; f is not called if it
// had before.
func (s *State) Pause(f func()) {
	s.step(pauseCost)
	now := time.Now()
	s.pause(now)
	f()
	s.unpause()
}

func (s *State) pause(now time.Time) {
	r := &s.run
	s.checkTotal(now)
	s.countHeap()
	r.meter.end(now)
	if s.Guard != nil {
		if err := s.Guard.Leave(); err != nil {
			s.endRun(err)
		}
	}
}

func (s *State) unpause() {
	r := &s.run
	var err error
	if s.Guard != nil {
		err = s.Guard.Return()
	}
	now := time.Now()
	r.meter.begin(now, false)
	r.last = now
	r.pauses++
	r.heap = 0
	if r.pauses > shortPauses || r.used > shortRun {
		s.readHeap()
	}
	if err != nil {
		s.endRun(err)
	}
	s.checkTotal(now)
}

// Deadline returns when the whole time of the run is over; false if it has no end.
func (s *State) Deadline() (time.Time, bool) {
	if s.cfg.Limits.Total >= Unlimited {
		return time.Time{}, false
	}
	return s.run.started.Add(s.cfg.Limits.Total), true
}
