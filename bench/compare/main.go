// Command compare measures the gateway and its peers side by side: each server
// in a process of its own, in turns, with the same load. Run it from the root
// of the repository:
//
//	go run ./bench/compare -quick
//	go run ./bench/compare -only echo,send -servers gws,gateway -rounds 9
//	go run ./bench/compare -tricks
//	go run ./bench/compare -write docs/performance.md,README.md
//
// It prints tables, and puts a chart among the temporary files. It ends with
// status 1 if a server gave a wrong answer.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/wsgateway/gateway/bench/internal/report"
	"github.com/wsgateway/gateway/bench/internal/serve"
	"github.com/wsgateway/gateway/bench/internal/workloads"
)

func main() {
	serve.Main() // when this is the process of a server
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// options are those of the command line.
type options struct {
	quick, list   bool
	tricks        bool
	only, servers string
	rounds        int
	time          time.Duration
	write         string
	save, from    string
	profile       string
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("compare", flag.ContinueOnError)
	f.BoolVar(&o.quick, "quick", false, "one round of little: rough figures in some three minutes")
	f.BoolVar(&o.tricks, "tricks", false, "measure what each trick is worth, and nothing else")
	f.StringVar(&o.only, "only", "", "the workloads to do, as `a,b`; see -list")
	f.StringVar(&o.servers, "servers", "", "the servers to measure, as `a,b`; "+
		"gateway means gateway-bare and the like too")
	f.IntVar(&o.rounds, "rounds", 0, "`number` of rounds; 0: 5, or 1 with -quick")
	f.DurationVar(&o.time, "time", 0, "`length` of a measurement; 0: 0.9s, or 0.3s with -quick")
	f.StringVar(&o.write, "write", "",
		"put the tables into `files`, as a,b, between the lines made for them; "+
			"chart and details go to bench/ of this directory")
	f.StringVar(&o.save, "json", "", "keep all samples in `file`")
	f.StringVar(&o.from, "from", "", "measure nothing, report the samples of `a,b`; "+
		"of a workload that is in several files, those of the last")
	f.StringVar(&o.profile, "profile", "",
		"write CPU and heap profiles of the servers below `directory`; "+
			"figures are worse then")
	f.BoolVar(&o.list, "list", false, "list workloads and servers")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", f.Arg(0))
	}
	if o.rounds == 0 {
		o.rounds = 5
		if o.quick {
			o.rounds = 1
		}
	}
	return o, nil
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.list {
		return list()
	}
	r, err := results(ctx, o, args)
	if err != nil {
		return err
	}
	fmt.Println(report.Summary(r))
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("interrupted, nothing was written: %w", err)
	}
	if o.save != "" {
		if err := save(o.save, r); err != nil {
			return err
		}
	}
	if o.write == "" {
		err = chart(r)
	} else {
		err = write(strings.Split(o.write, ","), r)
	}
	if err != nil {
		return err
	}
	if len(r.Failed) > 0 {
		return fmt.Errorf("%d of the measurements failed", len(r.Failed))
	}
	return nil
}

// results measures, or reads what was measured before.
func results(ctx context.Context, o options, args []string) (report.Run, error) {
	if o.from != "" {
		return loadAll(strings.Split(o.from, ","))
	}
	chosen, err := choose(o)
	if err != nil {
		return report.Run{}, err
	}
	scale := workloads.Full
	if o.quick {
		scale = workloads.Quick
	}
	if o.time > 0 {
		scale.Time = o.time
	}
	chosen, skipped := possible(chosen, scale)
	for _, s := range skipped {
		fmt.Fprintln(os.Stderr, "SKIPPED:", s)
	}
	if len(chosen) == 0 {
		return report.Run{}, fmt.Errorf("nothing can be measured here: %s", strings.Join(skipped, "; "))
	}
	r := report.Run{
		Skipped: skipped,
		Machine: report.ThisMachine(),
		Date:    time.Now().UTC().Format(time.DateOnly),
		Rounds:  o.rounds,
		Quick:   o.quick,
		Results: workloads.Results{},

		Commands: []string{strings.Join(append([]string{"go run ./bench/compare"}, shown(args)...), " ")},
	}
	for _, w := range chosen {
		r.Workloads = append(r.Workloads, w.Key)
	}
	p := plan{
		workloads: chosen, rounds: o.rounds, scale: scale, profile: o.profile, out: os.Stderr,
	}
	p.run(ctx, &r)
	return r, nil
}

// shown leaves out of a command line what says only where results go.
func shown(args []string) []string {
	var out []string
	for i := 0; i < len(args); i++ {
		name, _, joined := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		if slices.Contains([]string{"write", "json", "profile"}, name) {
			if !joined {
				i++
			}
			continue
		}
		out = append(out, args[i])
	}
	return out
}

func list() error {
	for _, w := range workloads.All {
		fmt.Printf("%-10s %s\n%10s %s\n", w.Key, w.Title, "", strings.Join(w.Servers, ", "))
	}
	return nil
}
