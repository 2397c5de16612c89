package frameq_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/wsgateway/gateway/internal/budget"
	"github.com/wsgateway/gateway/internal/frameq"
	"github.com/wsgateway/gateway/internal/ws"
)

// Queues behave as lists of messages, whatever is done with them in whatever order; the
// budget counts what they hold, and nothing when they are empty.
func TestQueuesAgainstAModel(t *testing.T) {
	for seed := range uint64(25) {
		r := rand.New(rand.NewPCG(seed, 1))
		b := budget.New(math.MaxInt64)
		pairs := make([]*pair, 4)
		serial := 0
		for i := range pairs {
			pairs[i] = &pair{t: t, r: r, serial: &serial, order: frameq.Order(r.IntN(3)),
				lim: frameq.Limits{Messages: 1 + r.IntN(30), Bytes: 100_000 * (1 + r.IntN(10))}}
			pairs[i].q.Budget = b
		}
		for range 250 {
			p := pairs[r.IntN(len(pairs))]
			switch r.IntN(14) {
			case 0, 1, 2, 3, 4:
				p.push(nil, nil)
			case 5, 6:
				p.pushShared(pairs, b)
			case 7:
				p.control()
			case 8:
				p.take()
			case 9, 10:
				p.write()
			case 11:
				p.unshift()
			case 12:
				if r.IntN(10) == 0 {
					p.dropUntouched()
				}
			case 13:
				if r.IntN(10) == 0 {
					p.clear()
				}
			}
			p.check()
			if r.IntN(4) == 0 {
				checkBudget(t, pairs, b)
			}
		}
		for _, p := range pairs {
			p.check() // no frame of one is another's too
			p.clear()
			if p.q.Held() != 0 || p.q.Counted() != 0 || p.q.Size() != 0 || p.q.Count() != 0 {
				t.Fatalf("seed %d: an empty queue holds %d bytes, counts %d, has %d bytes and %d messages",
					seed, p.q.Held(), p.q.Counted(), p.q.Size(), p.q.Count())
			}
		}
		if b.Used() != 0 {
			t.Fatalf("seed %d: the budget counts %d bytes when all queues are empty", seed, b.Used())
		}
	}
}

// pushShared offers one message to some of the queues.
func (p *pair) pushShared(pairs []*pair, b *budget.Budget) {
	payload := append([]byte("shared"), p.payload()...)
	key := []string{"", "", "key0"}[p.r.IntN(3)]
	if len(payload) < 14 {
		payload = fmt.Append(payload, "|", *p.serial, "|")
	}
	s := frameq.NewShared(text, payload, key, b)
	for _, other := range pairs {
		if p.r.IntN(3) > 0 {
			other.push(s, ws.AppendFrame(nil, text, payload))
		}
	}
}

// checkBudget checks that the budget counts what each queue holds for itself beyond the
// allowance, and each shared buffer that some queue holds beyond it, once.
func checkBudget(t *testing.T, pairs []*pair, b *budget.Budget) {
	t.Helper()
	shared := map[*byte]int{}
	want := 0
	for _, p := range pairs {
		if own := p.q.Held(); own > frameq.Allowance {
			want += (own + frameq.Allowance - 1) / frameq.Allowance * frameq.Allowance
		}
		common := 0
		for _, f := range p.q.Waiting() {
			if f.Shared() && !f.Counted() {
				common += len(f.B)
			} else if f.Shared() {
				shared[&f.B[0]] = cap(f.B)
			}
		}
		if common > frameq.Allowance {
			t.Fatalf("%d bytes of shared frames of one queue are not counted, at most %d may be", common,
				frameq.Allowance)
		}
	}
	for _, n := range shared {
		want += n
	}
	if got := int(b.Used()); got != want {
		t.Fatalf("the budget counts %d bytes, the queues hold %d", got, want)
	}
}
