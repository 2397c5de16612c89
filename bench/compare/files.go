package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wsgateway/gateway/bench/internal/report"
)

// Where chart and details go, from the directory of the document.
const (
	chartFile   = "bench/compare.svg"
	detailsFile = "bench/RESULTS.md"
)

func save(file string, r report.Run) error {
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}

func load(file string) (r report.Run, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// loadAll reads what runs on one machine have saved. Where several did the
// same work, the last one counts.
func loadAll(files []string) (report.Run, error) {
	all, err := load(files[0])
	if err != nil {
		return all, err
	}
	for _, file := range files[1:] {
		r, err := load(file)
		if err != nil {
			return all, err
		}
		if r.Machine != all.Machine || r.Rounds != all.Rounds || r.Quick != all.Quick {
			return all, fmt.Errorf("%s was measured in another way than %s", file, files[0])
		}
		merge(&all, r)
	}
	return all, nil
}

func merge(all *report.Run, r report.Run) {
	for _, w := range r.Works {
		all.Results[w] = r.Results[w]
		all.Failed = slices.DeleteFunc(all.Failed, func(f string) bool { return strings.HasPrefix(f, w+",") })
		if !slices.Contains(all.Works, w) {
			all.Works = append(all.Works, w)
		}
	}
	all.Failed = append(all.Failed, r.Failed...)
	for _, c := range r.Commands {
		if !slices.Contains(all.Commands, c) {
			all.Commands = append(all.Commands, c)
		}
	}
	all.Date = max(all.Date, r.Date)
}

// chart draws one among the temporary files, and says where.
func chart(r report.Run) error {
	svg := report.Chart(r)
	if svg == "" {
		return nil
	}
	f, err := os.CreateTemp("", "compare-*.svg")
	if err != nil {
		return err
	}
	fmt.Println("Chart:", f.Name())
	_, err = f.WriteString(svg)
	return errors.Join(err, f.Close())
}

// write puts the tables into a document, and chart and details beside it.
func write(file string, r report.Run) error {
	doc, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	block := report.Summary(r) + fmt.Sprintf(
		"\n![Gateway and its peers; shorter is better](%s)\n\nEvery figure of every server: [%s](%[2]s).\n",
		chartFile, detailsFile)
	text, err := report.Inject(string(doc), block)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	dir := filepath.Dir(file)
	if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(chartFile)), 0o755); err != nil {
		return err
	}
	for name, content := range map[string]string{
		filepath.Join(dir, chartFile):   report.Chart(r),
		filepath.Join(dir, detailsFile): report.Details(r),
		file:                            text,
	} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}
