package ws

import (
	"iter"
	"strings"
)

// AcceptDeflate takes the fields of a request's Sec-WebSocket-Extensions and returns
// the answer to the first offer of permessage-deflate that can be accepted, without
// context takeover on either side, or "". An offer that RFC 7692, section 7.1 does not
// allow is declined, like one with a server window that we cannot promise.
func AcceptDeflate(fields []string) string {
	for _, f := range fields {
		for offer := range splitUnquoted(f, ',') {
			name, params, _ := strings.Cut(offer, ";")
			if strings.TrimSpace(name) != "permessage-deflate" {
				continue
			}
			if answer, ok := deflateAnswer(params); ok {
				return answer
			}
		}
	}
	return ""
}

// deflateAnswer returns the answer to an offer with these parameters, and whether it
// can be accepted.
func deflateAnswer(params string) (answer string, ok bool) {
	answer = "permessage-deflate; client_no_context_takeover; server_no_context_takeover"
	if strings.TrimSpace(params) == "" {
		return answer, true
	}
	seen := map[string]bool{}
	for param := range splitUnquoted(params, ';') {
		name, value, hasValue := strings.Cut(strings.TrimSpace(param), "=")
		if seen[name] {
			return "", false
		}
		seen[name] = true
		if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1]
		}
		switch name {
		case "server_no_context_takeover", "client_no_context_takeover":
			if hasValue {
				return "", false
			}
		case "client_max_window_bits":
			if hasValue && !validWindow(value) {
				return "", false
			}
		case "server_max_window_bits":
			if value != "15" { // the compressor's window cannot be made smaller
				return "", false
			}
			answer += "; server_max_window_bits=15" // section 7.1.2.1: accepting is saying so
		default:
			return "", false
		}
	}
	return answer, true
}

// validWindow reports whether the value is 8 to 15 without leading zeros.
func validWindow(v string) bool {
	switch v {
	case "8", "9", "10", "11", "12", "13", "14", "15":
		return true
	}
	return false
}

// splitUnquoted returns the parts of s between the separators that are not inside a
// quoted string.
func splitUnquoted(s string, sep byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		start, quoted := 0, false
		for i := 0; i < len(s); i++ {
			switch c := s[i]; {
			case c == '\\' && quoted:
				i++
			case c == '"':
				quoted = !quoted
			case c == sep && !quoted:
				if !yield(s[start:i]) {
					return
				}
				start = i + 1
			}
		}
		yield(s[start:])
	}
}
