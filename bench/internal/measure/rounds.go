package measure

import (
	"math"
	"slices"
)

// Median is the middle of the values, the mean of the middle two of an even
// number, and NaN of none. NaN values are left out.
func Median(values []float64) float64 {
	v := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(v) == 0 {
		return math.NaN()
	}
	slices.Sort(v)
	mid := len(v) / 2
	if len(v)%2 == 1 {
		return v[mid]
	}
	return (v[mid-1] + v[mid]) / 2
}

// A Ratio is how two servers compare over rounds in which both ran.
type Ratio struct {
	Median, Min, Max float64 // NaN when there was no such round
	Rounds           int
}

// Ratios divides a by b round by round. Both hold one value per round, NaN
// for a round without one; rounds in which either is missing, or b is not
// above zero, do not count.
func Ratios(a, b []float64) Ratio {
	var each []float64
	for i := range min(len(a), len(b)) {
		if r := a[i] / b[i]; b[i] > 0 && !math.IsNaN(r) {
			each = append(each, r)
		}
	}
	if len(each) == 0 {
		return Ratio{Median: math.NaN(), Min: math.NaN(), Max: math.NaN()}
	}
	return Ratio{Median: Median(each), Min: slices.Min(each), Max: slices.Max(each), Rounds: len(each)}
}
