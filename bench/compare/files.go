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

// Where chart and details go, from the directory in which the command is run: the root
// of the repository.
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
// same workload, the last one counts.
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
	for _, w := range r.Workloads {
		all.Results[w] = r.Results[w]
		all.Failed = slices.DeleteFunc(all.Failed,
			func(f string) bool { return strings.HasPrefix(f, w+",") })
		if !slices.Contains(all.Workloads, w) {
			all.Workloads = append(all.Workloads, w)
		}
	}
	all.Failed = append(all.Failed, r.Failed...)
	all.Skipped = slices.DeleteFunc(all.Skipped, func(s string) bool {
		return slices.ContainsFunc(r.Workloads,
			func(w string) bool { return strings.HasPrefix(s, "workload "+w+":") })
	})
	for _, s := range r.Skipped {
		if !slices.Contains(all.Skipped, s) {
			all.Skipped = append(all.Skipped, s)
		}
	}
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

// write puts the tables into documents, and writes chart and details. It looks at all
// documents before it writes any.
func write(docs []string, r report.Run) error {
	files := map[string]string{chartFile: report.Chart(r), detailsFile: report.Details(r)}
	for _, doc := range docs {
		text, err := inject(doc, r)
		if err != nil {
			return fmt.Errorf("%s: %w", doc, err)
		}
		files[doc] = text
	}
	if err := os.MkdirAll(filepath.Dir(chartFile), 0o755); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// inject returns the document with what was measured between its marks: all tables, or
// the few figures of the short form.
func inject(doc string, r report.Run) (string, error) {
	old, err := os.ReadFile(doc)
	if err != nil {
		return "", err
	}
	chart, err := link(doc, chartFile)
	if err != nil {
		return "", err
	}
	details, err := link(doc, detailsFile)
	if err != nil {
		return "", err
	}
	image := "\n![" + report.ChartTitle + "](" + chart + ")\n"
	if strings.Contains(string(old), report.BeginShort) {
		return report.InjectShort(string(old), report.Short(r)+image)
	}
	return report.Inject(string(old), report.Summary(r)+image+
		fmt.Sprintf("\nEvery figure of every server: [%s](%s).\n", detailsFile, details))
}

// link is how a document refers to a file.
func link(doc, file string) (string, error) {
	dir, err := filepath.Abs(filepath.Dir(doc))
	if err != nil {
		return "", err
	}
	if file, err = filepath.Abs(file); err != nil {
		return "", err
	}
	rel, err := filepath.Rel(dir, file)
	return filepath.ToSlash(rel), err
}
