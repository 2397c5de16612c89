package rules

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/wsgateway/gateway"
)

// MaxDepth is how deep a value may be nested.
const MaxDepth = 64

const (
	// PartSize is what each part of a value counts beside its text.
	PartSize = 16
	// ObjectSize is what an object counts beside its parts: Go maps are large, however
	// little is in them.
	ObjectSize = 300
)

// CheckKey refuses what cannot be a key, with an error of type invalid_request, as all
// errors here are.
func CheckKey(key string) error {
	if key == "" || len(key) > MaxKeyBytes {
		return invalidf("key: expected a string of 1 to %d bytes, found %d bytes", MaxKeyBytes, len(key))
	}
	return nil
}

// Lifetime is the time of that many seconds; 0 is for ever, and nothing else becomes 0.
func Lifetime(seconds float64) (time.Duration, error) {
	const most = 100 * 365 * 24 * 3600 // beyond it, durations come near to overflow
	switch {
	case seconds == 0:
		return 0, nil
	case seconds > 0 && seconds <= most:
		return max(time.Duration(seconds*float64(time.Second)), 1), nil
	}
	return 0, invalidf("ttl %v: expected seconds, above 0 and at most %d", seconds, int64(most))
}

// Copy returns a copy of v in the forms of encoding/json, and its size.
func Copy(v any) (any, int, error) {
	size := 0
	c, err := copyValue(v, 0, &size)
	return c, size, err
}

func copyValue(v any, depth int, size *int) (any, error) {
	*size += PartSize
	if depth > MaxDepth {
		return nil, invalidf("value: expected at most %d levels", MaxDepth)
	}
	switch v := v.(type) {
	case nil, bool:
		return v, nil
	case string:
		*size += len(v)
		return v, nil
	case int:
		return float64(v), nil
	case int64:
		return float64(v), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, invalidf("value: expected a finite number, found %v", v)
		}
		return v, nil
	case []any:
		c := make([]any, len(v))
		for i, x := range v {
			var err error
			if c[i], err = copyValue(x, depth+1, size); err != nil {
				return nil, err
			}
		}
		return c, nil
	case map[string]any:
		*size += ObjectSize
		c := make(map[string]any, len(v))
		for k, x := range v {
			*size += len(k)
			var err error
			if c[k], err = copyValue(x, depth+1, size); err != nil {
				return nil, err
			}
		}
		return c, nil
	}
	return nil,
		invalidf("value: expected a string, a number, a boolean, an array or an object, found %T", v)
}

// Text is the form in which commands store and return a value.
func Text(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", invalidf("args: expected a string, a number or a boolean, found nothing")
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	}
	value, _, err := Copy(v)
	if err != nil {
		return "", err
	}
	if f, ok := value.(float64); ok {
		return FormatNumber(f), nil
	}
	b, err := json.Marshal(value)
	if err != nil {
		return "", invalidf("args: %v", err)
	}
	return string(b), nil
}

// FormatNumber spells a number: whole ones without a point or an exponent, where all of
// their digits are known.
func FormatNumber(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return strconv.FormatFloat(f, 'f', 0, 64)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// Number returns the number that a text spells, if it spells one that is finite.
func Number(text string) (float64, bool) {
	f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
}

func invalidf(format string, args ...any) error {
	return gateway.NewError(gateway.ErrInvalid, format, args...)
}
