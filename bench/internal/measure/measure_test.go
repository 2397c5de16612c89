package measure_test

import (
	"math"
	"testing"
	"time"

	"github.com/wsgateway/gateway/bench/internal/measure"
)

func TestQuantilesOfAnEvenSpread(t *testing.T) {
	var h measure.Histogram
	for i := 1; i <= 1000; i++ {
		h.Add(time.Duration(i) * time.Microsecond)
	}
	for q, want := range map[float64]time.Duration{
		0.5:   500 * time.Microsecond,
		0.99:  990 * time.Microsecond,
		0.999: 999 * time.Microsecond,
		1:     1000 * time.Microsecond,
	} {
		got := h.Quantile(q)
		if off := math.Abs(float64(got-want)) / float64(want); off > 0.033 {
			t.Errorf("Quantile(%v) = %v, want %v within 3.3%%", q, got, want)
		}
	}
	if h.Count() != 1000 || h.Max() != time.Millisecond {
		t.Errorf("Count, Max = %d, %v; want 1000, 1ms", h.Count(), h.Max())
	}
}

func TestHistogramOfNothingAndOfExtremes(t *testing.T) {
	var h measure.Histogram
	if got := h.Quantile(0.5); got != 0 {
		t.Errorf("Quantile of an empty histogram = %v, want 0", got)
	}
	h.Add(-time.Second)
	if got := h.Quantile(1); got != 0 {
		t.Errorf("a negative duration counts as %v, want 0", got)
	}
	h.Add(math.MaxInt64)
	if got := h.Quantile(1); got != math.MaxInt64 {
		t.Errorf("Quantile(1) = %d, want the largest duration", got)
	}
}

func TestMergeAndReset(t *testing.T) {
	var a, b measure.Histogram
	a.Add(time.Millisecond)
	b.Add(time.Second)
	b.Add(time.Second)
	a.Merge(&b)
	if a.Count() != 3 || a.Max() != time.Second {
		t.Errorf("after Merge: Count, Max = %d, %v; want 3, 1s", a.Count(), a.Max())
	}
	a.Reset()
	if a.Count() != 0 || a.Max() != 0 {
		t.Errorf("after Reset: Count, Max = %d, %v; want 0, 0", a.Count(), a.Max())
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want float64
	}{
		{[]float64{3, 1, 2}, 2},
		{[]float64{4, 1, 2, 3}, 2.5},
		{[]float64{math.NaN(), 7}, 7},
	} {
		if got := measure.Median(c.in); got != c.want {
			t.Errorf("Median(%v) = %v, want %v", c.in, got, c.want)
		}
	}
	if got := measure.Median(nil); !math.IsNaN(got) {
		t.Errorf("Median(nil) = %v, want NaN", got)
	}
}

func TestRatiosCompareRoundByRound(t *testing.T) {
	nan := math.NaN()
	// The machine was twice as slow in the second round: the ratio is not.
	got := measure.Ratios([]float64{5, 10, nan, 6, 1}, []float64{10, 20, 10, 10, 0})
	want := measure.Ratio{Median: 0.5, Min: 0.5, Max: 0.6, Rounds: 3}
	if got != want {
		t.Errorf("Ratios = %+v, want %+v", got, want)
	}
	if got := measure.Ratios([]float64{nan}, []float64{1}); got.Rounds != 0 ||
		!math.IsNaN(got.Median) {
		t.Errorf("Ratios without a common round = %+v, want NaN", got)
	}
}
