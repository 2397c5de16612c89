package frameq_test

import (
	"testing"

	"github.com/wsgateway/gateway/internal/budget"
	"github.com/wsgateway/gateway/internal/frameq"
)

// BenchmarkShared offers messages of 128 bytes to 2,000 queues, as a broadcast does, up to
// 50 to each before what waits leaves.
func BenchmarkShared(b *testing.B) {
	lim := frameq.Limits{Messages: 256, Bytes: 1 << 20}
	total := budget.New(64 << 20)
	queues := make([]frameq.Queue, 2000)
	for i := range queues {
		queues[i].Budget = total
	}
	payload := make([]byte, 128)
	b.ReportAllocs()
	for n := 0; n < b.N; {
		for range 50 {
			s := frameq.NewShared(text, payload, "", total)
			for i := range queues {
				w := frameq.Want{N: s.Len(), Shared: s}
				room, bound := queues[i].Room(&w, lim, frameq.Nobody, false)
				if bound != frameq.None {
					b.Fatal(bound)
				}
				queues[i].Make(&room, func(*frameq.Frame, bool) {})
				queues[i].PushShared(s)
				n++
			}
		}
		for i := range queues {
			queues[i].Clear(func(f *frameq.Frame, _ int) { f.Free() })
		}
	}
}
