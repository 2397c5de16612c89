package source

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// A header is a line that begins a block.
type header struct {
	keyword string   // "ENDPOINT" or "EVENT"
	words   []string // what follows it
}

// methods are those of the other endpoints that a file may hold. A word that
// is neither of them nor WEBSOCKET is a slip of the pen.
var methods = map[string]bool{
	"CONNECT": true, "DELETE": true, "GET": true, "HEAD": true, "OPTIONS": true,
	"PATCH": true, "POST": true, "PUT": true, "TRACE": true,
}

const method = "WEBSOCKET"

// parseHeader reports whether the line, without its end, is a header.
//
// "--#ENDPOINT" and "--#EVENT" always begin one, in any case. With blanks
// around the "#" the line may be a remark that happens to begin with the word,
// so there the rest has to look like a header too.
func parseHeader(line string) (header, bool) {
	text, ok := strings.CutPrefix(strings.Trim(line, " \t\r"), "--")
	if !ok {
		return header{}, false
	}
	tight := strings.HasPrefix(text, "#")
	if text, ok = strings.CutPrefix(strings.TrimLeft(text, " \t"), "#"); !ok {
		return header{}, false
	}
	tight = tight && text != "" && text[0] != ' ' && text[0] != '\t'
	words := strings.Fields(text)
	if len(words) == 0 {
		return header{}, false
	}
	h := header{strings.ToUpper(words[0]), words[1:]}
	return h, h.known() && (tight || h.complete())
}

func (h header) known() bool { return h.keyword == "ENDPOINT" || h.keyword == "EVENT" }

// complete reports whether the words after the keyword are such as a header has.
func (h header) complete() bool {
	if h.keyword == "EVENT" {
		return len(h.words) == 2
	}
	if len(h.words) == 0 {
		return false
	}
	m := strings.ToUpper(h.words[0])
	return m == method || methods[m] || len(h.words) > 1 && strings.HasPrefix(h.words[1], "/")
}

// event returns the service and the event that an EVENT header in the file
// names. One that has only the event leaves the service to the file's name, as
// "--#EVENT websocket_info" in websocket.lua does.
func (h header) event(file string) (service, event string, ok bool) {
	switch len(h.words) {
	case 0:
		return "", "", false
	case 1:
		// The name of the service alone is a slip of the pen.
		service, event = trimLua(path.Base(file)), h.words[0]
		return service, event, !strings.EqualFold(event, "websocket")
	}
	return h.words[0], h.words[1], true
}

// isWebsocketInfo reports whether it is the event that this module handles.
func isWebsocketInfo(service, event string) bool {
	return strings.EqualFold(service, "websocket") && strings.EqualFold(event, "websocket_info")
}

// looksLike is a line that is a comment, or would be with dashes in front, and the
// words in it.
var looksLike = regexp.MustCompile(
	`^[ \t]*(--|-|)[ \t]*(#*)[ \t-]*([A-Za-z_]{4,11})` +
		`(?:[:,=][ \t]*|[ \t]+)(\S+)(?:[ \t]+(\S+))?[ \t]*(\S?)`,
)

// plainSigns puts what is typed in the place of what word processors make of it.
var plainSigns = strings.NewReplacer("\u00a0", " ", "\u200b", "", "\ufeff", "", "\u2013", "--",
	"\u2014", "--")

// nearMiss says what a line, which is no header, would have to be to be one; "" if
// it does not look as if it were meant to be one.
func nearMiss(line string) string {
	m := looksLike.FindStringSubmatch(plainSigns.Replace(line))
	if m == nil {
		return ""
	}
	word, first, second, more := m[3], m[4], m[5], m[6] != ""
	comment := m[1] == "--"
	switch marked := m[2] != ""; {
	case !comment && !marked:
		return "" // code
	case near(word, "ENDPOINT"):
		verb := strings.ToUpper(first)
		if (verb == method || methods[verb]) && strings.HasPrefix(second, "/") ||
			marked && strings.HasPrefix(first, "/") {
			return fmt.Sprintf(
				"this line looks like a header and is none: expected %q",
				"--#ENDPOINT WEBSOCKET /path",
			)
		}
	case near(word, "EVENT"):
		meant := isWebsocketInfo(first, second) || marked && second != "" && !more
		if meant && (marked || word == strings.ToUpper(word)) {
			return fmt.Sprintf(
				"this line looks like a header and is none: expected %q",
				"--#EVENT "+first+" "+second,
			)
		}
	}
	return ""
}

// near reports whether a word is the keyword but for case and one slip of the pen:
// a letter more, less or wrong, or two that have changed places.
func near(word, keyword string) bool {
	word = strings.ReplaceAll(strings.ToUpper(word), "_", "")
	if word == keyword {
		return true
	}
	i := 0
	for i < len(word) && i < len(keyword) && word[i] == keyword[i] {
		i++
	}
	a, b := word[i:], keyword[i:]
	rest := func(s string, n int) string { return s[min(n, len(s)):] }
	return rest(a, 1) == b || a == rest(b, 1) || rest(a, 1) == rest(b, 1) ||
		len(a) > 1 && len(b) > 1 && a[0] == b[1] && a[1] == b[0] && a[2:] == b[2:]
}
