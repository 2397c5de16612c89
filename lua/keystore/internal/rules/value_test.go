package rules

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
)

// A value has one spelling, in whatever Go type it comes.
func TestText(t *testing.T) {
	for want, v := range map[string]any{
		"": "", "a": "a", "true": true, "7": 7, "-8": int64(-8), "9": 9.0, "1.5": 1.5,
		"9007199254740993": int64(1<<53 + 1), "999999999999999": 999999999999999.0,
		"1e+21": 1e21, "1e-07": 1e-7,
		`[1,null,"x"]`: []any{1, nil, "x"}, `{"a":2.5}`: map[string]any{"a": 2.5},
	} {
		if got, err := Text(v); got != want || err != nil {
			t.Errorf("Text(%#v) = %q, %v, want %q", v, got, err, want)
		}
	}
	deep := any(1)
	for range MaxDepth + 1 {
		deep = []any{deep}
	}
	for _, v := range []any{nil, math.NaN(), math.Inf(1), []any{math.Inf(-1)}, struct{}{},
		map[string]any{"a": 'x'}, deep} {
		if got, err := Text(v); !errors.Is(err, gateway.ErrInvalid) {
			t.Errorf("Text(%.40v) = %q, %v, want an error of type invalid_request", v, got, err)
		}
	}
}

// What is spelled is read back as the same number; what is not finite is none.
func TestNumber(t *testing.T) {
	for _, f := range []float64{0, -1, 0.1, 1e15, 1 << 53, 1e300, 5e-324, math.MaxFloat64} {
		if got, ok := Number(" " + FormatNumber(f) + "\n"); got != f || !ok {
			t.Errorf("Number(FormatNumber(%v)) = %v, %v", f, got, ok)
		}
	}
	for _, text := range []string{"", " ", "x", "1 2", "1,5", "nan", "inf", "-Inf", "1e999"} {
		if f, ok := Number(text); ok {
			t.Errorf("Number(%q) = %v, want none", text, f)
		}
	}
}

func TestLifetime(t *testing.T) {
	const years = 100 * 365 * 24 * 3600
	for seconds, want := range map[float64]time.Duration{
		0: 0, 1.5: 1500 * time.Millisecond, 1e-12: 1, years: years * time.Second,
	} {
		if got, err := Lifetime(seconds); got != want || err != nil {
			t.Errorf("Lifetime(%v) = %v, %v, want %v", seconds, got, err, want)
		}
	}
	for _, seconds := range []float64{-1, math.Inf(1), math.Inf(-1), math.NaN(), years + 1} {
		if got, err := Lifetime(seconds); got != 0 || !errors.Is(err, gateway.ErrInvalid) {
			t.Errorf("Lifetime(%v) = %v, %v, want an error of type invalid_request", seconds, got, err)
		}
	}
}

func TestCheckKey(t *testing.T) {
	for n, ok := range map[int]bool{0: false, 1: true, MaxKeyBytes: true, MaxKeyBytes + 1: false} {
		if err := CheckKey(strings.Repeat("k", n)); (err == nil) != ok {
			t.Errorf("CheckKey of %d bytes = %v", n, err)
		}
	}
}
