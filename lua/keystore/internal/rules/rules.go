// Package rules has what the stores of values by key have in common.
package rules

import "strings"

// Matches reports whether a key is selected by a filter: it contains it or, if the filter
// has a "*" or "?", is matched by it as a whole.
func Matches(filter, key string) bool {
	if !strings.ContainsAny(filter, "*?") {
		return strings.Contains(key, filter)
	}
	f, k, star, mark := 0, 0, -1, 0
	for k < len(key) {
		switch {
		case f < len(filter) && filter[f] == '*':
			star, mark = f, k
			f++
		case f < len(filter) && (filter[f] == '?' || filter[f] == key[k]):
			f, k = f+1, k+1
		case star >= 0: // let the last star take one byte more
			mark++
			f, k = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(filter[f:], "*") == ""
}
