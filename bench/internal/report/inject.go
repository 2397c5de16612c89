package report

import (
	"errors"
	"fmt"
	"strings"
)

// The lines in a document between which its measurements stand: all tables, or in
// another document only the few figures of [Short].
const (
	Begin      = "<!-- bench:begin -->"
	End        = "<!-- bench:end -->"
	BeginShort = "<!-- bench:short:begin -->"
	EndShort   = "<!-- bench:short:end -->"
)

// Inject replaces what stands between [Begin] and [End]. A document in which they
// are not both there, once and in order, is an error.
func Inject(doc, block string) (string, error) { return inject(doc, block, Begin, End) }

// InjectShort is the same between [BeginShort] and [EndShort].
func InjectShort(doc, block string) (string, error) {
	return inject(doc, block, BeginShort, EndShort)
}

func inject(doc, block, begin, end string) (string, error) {
	if strings.Count(doc, begin) != 1 || strings.Count(doc, end) != 1 {
		return "", fmt.Errorf("%s and %s must stand in it once each", begin, end)
	}
	before, rest, _ := strings.Cut(doc, begin)
	_, after, ok := strings.Cut(rest, end)
	if !ok {
		return "", errors.New(end + " stands before " + begin)
	}
	return before + begin + "\n\n" + strings.TrimSpace(block) + "\n\n" + end + after, nil
}
