package report

import (
	"errors"
	"fmt"
	"strings"
)

// The lines in a document between which its measurements stand.
const (
	Begin = "<!-- bench:begin -->"
	End   = "<!-- bench:end -->"
)

// Inject replaces what stands between the two lines. A document in which they
// are not both there, once and in order, is an error.
func Inject(doc, block string) (string, error) {
	if strings.Count(doc, Begin) != 1 || strings.Count(doc, End) != 1 {
		return "", fmt.Errorf("%s and %s must stand in it once each", Begin, End)
	}
	before, rest, _ := strings.Cut(doc, Begin)
	_, after, ok := strings.Cut(rest, End)
	if !ok {
		return "", errors.New(End + " stands before " + Begin)
	}
	return before + Begin + "\n\n" + strings.TrimSpace(block) + "\n\n" + End + after, nil
}
