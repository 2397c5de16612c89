package report

import (
	"fmt"
	"strings"
)

// table is a table of Markdown, its columns aligned for those who read it as
// text. The first column is a name, the others are figures.
func table(head []string, rows [][]string) string {
	width := make([]int, len(head))
	for _, row := range append([][]string{head}, rows...) {
		for i := range row {
			row[i] = strings.ReplaceAll(strings.ReplaceAll(row[i], "|", `\|`), "\n", " ")
			width[i] = max(width[i], len([]rune(row[i])), 3)
		}
	}
	var b strings.Builder
	line := func(cells []string) {
		for i, c := range cells {
			fmt.Fprintf(&b, "| %s%s ", c, strings.Repeat(" ", width[i]-len([]rune(c))))
		}
		b.WriteString("|\n")
	}
	line(head)
	for i, w := range width {
		if i == 0 {
			fmt.Fprintf(&b, "|%s", strings.Repeat("-", w+2))
		} else {
			fmt.Fprintf(&b, "|%s:", strings.Repeat("-", w+1))
		}
	}
	b.WriteString("|\n")
	for _, row := range rows {
		line(row)
	}
	return b.String()
}

// lines is a list under a heading, "" where it is empty.
func lines(heading string, items []string) string {
	if len(items) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s:\n\n", heading)
	for _, item := range items {
		fmt.Fprintf(&b, "- %.300s\n", strings.Join(strings.Fields(item), " "))
	}
	return b.String()
}
