// Command lua measures endpoints written in Lua: against the same in Go, and
// against the same script on another VM.
//
//	go run ./bench/lua          # some minutes
//	go run ./bench/lua -quick   # whether it works, and rough figures
//
// It prints a Markdown table. Each endpoint is served by a process of its own;
// they take turns with batches of the same size, so that what slows the machine
// down slows all of them. It ends with status 1 if an endpoint gave a wrong
// answer.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == childFlag {
		if err := child(os.Args[2], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "endpoint:", err)
			os.Exit(1)
		}
		return
	}
	quick := flag.Bool("quick", false, "little of everything: rough figures")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, sizes(*quick), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "lua:", err)
		os.Exit(1)
	}
}

// A size is how much is measured.
type size struct {
	rounds  int // turns of every endpoint
	batch   int // events in a turn
	long    int // events of the long run
	machine int // VMs whose memory is measured
	deploys int
}

func sizes(quick bool) size {
	if quick {
		return size{rounds: 2, batch: 1000, long: 20_000, machine: 20, deploys: 2}
	}
	return size{rounds: 15, batch: 20_000, long: 1_000_000, machine: 200, deploys: 15}
}

// run measures everything and writes the report.
func run(ctx context.Context, s size, out io.Writer) error {
	turns, err := measureTurns(ctx, s)
	if err != nil {
		return err
	}
	aged, err := measureAge(ctx, s)
	if err != nil {
		return err
	}
	memory, err := measureMemory(ctx, s)
	if err != nil {
		return err
	}
	deploy, err := measureDeploy(ctx, s)
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, format(turns, aged, memory, deploy))
	return err
}
