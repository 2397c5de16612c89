package keystore

import "github.com/wsgateway/gateway/lua/keystore/internal/rules"

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

// number returns the number that a value is or spells.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case string:
		return rules.Number(v)
	}
	return 0, false
}
