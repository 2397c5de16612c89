package keystore

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// The kinds of value that only commands make.
type (
	hash map[string]string
	list struct {
		items []string
		taken int // from the front of the memory in which items lie
	}
	set map[string]bool
)

func kindOf(v any) string {
	switch v.(type) {
	case hash:
		return "hash"
	case *list:
		return "list"
	case set:
		return "set"
	}
	return "string"
}

// maxDepth is how deep a value may be nested.
const maxDepth = 64

// normalize returns a copy of v in the forms of encoding/json, and its size.
func normalize(v any) (any, int, error) {
	size := 0
	c, err := copyValue(v, 0, &size)
	return c, size, err
}

func copyValue(v any, depth int, size *int) (any, error) {
	*size += partSize
	if depth > maxDepth {
		return nil, invalidf("value: expected at most %d levels", maxDepth)
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
		*size += objectSize
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

// clone copies what is in the store, so that the caller may change it.
func clone(v any) any {
	switch v := v.(type) {
	case []any:
		c := make([]any, len(v))
		for i, x := range v {
			c[i] = clone(x)
		}
		return c
	case map[string]any:
		c := make(map[string]any, len(v))
		for k, x := range v {
			c[k] = clone(x)
		}
		return c
	}
	return v
}

// text is the form in which commands store and return a value.
func text(v any) (string, error) {
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
	case float64:
		return formatNumber(v), nil
	}
	value, _, err := normalize(v)
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(value)
	if err != nil {
		return "", invalidf("args: %v", err)
	}
	return string(b), nil
}

func formatNumber(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return strconv.FormatFloat(f, 'f', 0, 64)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// number returns the number that a value is or spells.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case string:
		f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
	}
	return 0, false
}
