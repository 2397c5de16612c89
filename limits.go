package gateway

import (
	"fmt"
	"math"
	"time"
)

// defaultLimits are what zero fields mean; docs/limits.md has them as a table.
var defaultLimits = Limits{
	MessagesPerSecond: 5,
	Burst:             defaultBurst,
	OnRateExceeded:    RateDelay,
	ReadLimit:         64 << 10,
	SendLimit:         1 << 20,
	QueueMessages:     256,
	QueueBytes:        1 << 20,
	OnQueueFull:       QueueRefuse,
	PingInterval:      30 * time.Second,
	IdleTimeout:       -1,
	WriteTimeout:      10 * time.Second,
	MessageTimeout:    60 * time.Second,
	CloseTimeout:      2 * time.Second,
}

const (
	defaultKeepMessage       = 4 << 10
	defaultMaxSockets        = 100_000
	defaultMaxSocketsPerAddr = 1_000
	defaultMaxGroups         = 100
	defaultBurst             = 5
	defaultMaxQueuedBytes    = 256 << 20
	defaultMaxReceivingBytes = 64 << 20
	longest                  = time.Duration(math.MaxInt64)
)

func or[T int | int64 | float64 | time.Duration | RatePolicy | QueuePolicy](v, zero T) T {
	if v == 0 {
		return zero
	}
	return v
}

// over returns l with its zero fields taken from below.
func (l Limits) over(below Limits) Limits {
	if l.Burst == 0 && l.MessagesPerSecond > 0 {
		l.Burst = burstFor(l.MessagesPerSecond)
	}
	return Limits{
		MessagesPerSecond: or(l.MessagesPerSecond, below.MessagesPerSecond),
		Burst:             or(l.Burst, below.Burst),
		OnRateExceeded:    or(l.OnRateExceeded, below.OnRateExceeded),
		ReadLimit:         or(l.ReadLimit, below.ReadLimit),
		SendLimit:         or(l.SendLimit, below.SendLimit),
		QueueMessages:     or(l.QueueMessages, below.QueueMessages),
		QueueBytes:        or(l.QueueBytes, below.QueueBytes),
		OnQueueFull:       or(l.OnQueueFull, below.OnQueueFull),
		PingInterval:      or(l.PingInterval, below.PingInterval),
		IdleTimeout:       or(l.IdleTimeout, below.IdleTimeout),
		WriteTimeout:      or(l.WriteTimeout, below.WriteTimeout),
		MessageTimeout:    or(l.MessageTimeout, below.MessageTimeout),
		CloseTimeout:      or(l.CloseTimeout, below.CloseTimeout),
	}
}

// burstFor is the burst of a rate for which none is given: a second's worth, and
// at least 5.
func burstFor(rate float64) int {
	return int(max(defaultBurst, min(math.Ceil(rate), math.MaxInt32)))
}

// unbounded turns the negative limits of a queue into ones that are never
// reached.
func (l Limits) unbounded() Limits {
	if l.QueueMessages < 0 {
		l.QueueMessages = math.MaxInt
	}
	if l.QueueBytes < 0 {
		l.QueueBytes = math.MaxInt
	}
	return l
}

// check refuses what can only be a mistake.
func (l Limits) check() error {
	switch {
	case math.IsNaN(l.MessagesPerSecond) || math.IsInf(l.MessagesPerSecond, 0):
		return fmt.Errorf("Limits.MessagesPerSecond is %v; negative switches the limit off",
			l.MessagesPerSecond)
	case l.Burst < 0:
		return fmt.Errorf("Limits.Burst is negative; a negative MessagesPerSecond switches the limit off")
	case l.OnRateExceeded > RateClose:
		return fmt.Errorf("Limits.OnRateExceeded %d is not a policy", l.OnRateExceeded)
	case l.OnQueueFull > QueueDropNewest:
		return fmt.Errorf("Limits.OnQueueFull %d is not a policy", l.OnQueueFull)
	}
	return nil
}

// shortest returns the shortest timeout that the sweeper watches.
func (l Limits) shortest() time.Duration {
	d := longest
	for _, t := range []time.Duration{l.PingInterval, l.IdleTimeout, l.WriteTimeout,
		l.MessageTimeout} {
		if t > 0 {
			d = min(d, t)
		}
	}
	return d
}
