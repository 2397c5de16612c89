// Command lua measures endpoints written in Lua: against the same in Go, and
// against the same script on another VM.
//
//	go run ./bench/lua          # some minutes
//	go run ./bench/lua -quick   # whether it works, and rough figures
//	go run ./bench/lua -write bench/README.md
//	go run ./bench/lua -neighbours   # only how scripts disturb their neighbours
//
// It prints Markdown tables, and puts them into a file between the lines made
// for them. Each endpoint is served by a process of its own;
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
	"strings"
	"time"

	"github.com/wsgateway/gateway/bench/internal/report"
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
	alone := flag.Bool("neighbours", false, "only echoes beside scripts that want everything")
	file := flag.String("write", "", "put the tables into `file` too, between the lines made for them")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var text strings.Builder
	measured := run
	if *alone {
		measured = runNeighbours
	}
	err := measured(ctx, sizes(*quick), io.MultiWriter(os.Stdout, &text))
	if ctx.Err() != nil {
		err = ctx.Err() // what else failed did so because its process was killed
	}
	if err == nil && *file != "" {
		err = write(*file, text.String())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lua:", err)
		os.Exit(1)
	}
}

func write(file, block string) error {
	doc, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text, err := report.Inject(string(doc), block)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

// A size is how much is measured.
type size struct {
	command string
	rounds  int // turns of every endpoint
	batch   int // events in a turn
	long    int // events of the long run
	machine int // VMs whose memory is measured
	deploys int

	disturbers int           // sockets whose scripts want everything
	calm       time.Duration // how long others are watched beside them
	settle     time.Duration // how long a process may take to give memory back
}

func sizes(quick bool) size {
	if quick {
		return size{command: "go run ./bench/lua -quick", rounds: 2, batch: 1000, long: 20_000,
			machine: 20, deploys: 2, disturbers: 200, calm: 5 * time.Second, settle: time.Minute}
	}
	return size{command: "go run ./bench/lua", rounds: 15, batch: 20_000, long: 1_000_000,
		machine: 200, deploys: 15, disturbers: 200, calm: 30 * time.Second, settle: time.Minute}
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
	if _, err = io.WriteString(out, format(s.command, turns, aged, memory, deploy)+"\n"); err != nil {
		return err
	}
	return runNeighbours(ctx, s, out)
}

// runNeighbours measures how scripts disturb their neighbours, and writes that.
func runNeighbours(ctx context.Context, s size, out io.Writer) error {
	all, err := measureNeighbours(ctx, s)
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, formatNeighbours(all))
	return err
}
