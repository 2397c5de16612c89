// Command cluster measures what a cluster costs, each figure beside what it is compared
// with, in the same run:
//
//	go run ./bench/cluster                   # all, in some ten minutes
//	go run ./bench/cluster -quick            # for function only; the figures mean nothing
//	go run ./bench/cluster -only send,peers  # some of it
//
// The NATS server runs in this process, or in one of its own where CPU time is compared
// with that of another program; nodes talk to it over TCP on loopback. Beside Centrifuge
// with its Redis engine the gateway is measured if there is a redis-server to start.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/wsgateway/gateway/bench/internal/serve"
	"github.com/wsgateway/gateway/cluster/natsd"
)

const payload = 128 // bytes of every message

type bench struct {
	ctx   context.Context
	url   string // of the NATS server in this process
	quick bool
	calls int // in each round
	turns int
	crowd int // members on each node
	ids   int // sockets on each node, for lists
	out   *tabwriter.Writer
}

// parts are what can be measured, in this order.
var parts = []struct {
	name string
	run  func(*bench) error
}{
	{"send", (*bench).sends}, {"wire", (*bench).wire}, {"local", (*bench).local},
	{"group", (*bench).groups}, {"peers", (*bench).peers}, {"list", (*bench).lists},
	{"join", (*bench).joins}, {"many", (*bench).manyGroups}, {"kill", (*bench).kill},
}

func main() {
	serve.Main() // when this is the process of a server
	quick := flag.Bool("quick", false, "run everything once and small")
	only := flag.String("only", "", "measure these parts, as `a,b`: "+partNames())
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	b := &bench{ctx: ctx, calls: 60_000, turns: 7, crowd: 1000, ids: 100_000}
	if *quick {
		b.quick, b.calls, b.turns, b.crowd, b.ids = true, 2000, 1, 50, 2000
	}
	if err := b.run(*only); err != nil {
		stop()
		log.Fatal(err)
	}
}

func partNames() string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return strings.Join(names, ", ")
}

func (b *bench) run(only string) error {
	chosen := strings.Split(only, ",")
	for _, name := range chosen {
		if only != "" && !strings.Contains(", "+partNames()+",", " "+name+",") {
			return fmt.Errorf("-only: %q is none of %s", name, partNames())
		}
	}
	server, err := natsd.Start(&natsd.Options{Clients: "127.0.0.1:0", Logger: quiet})
	if err != nil {
		return err
	}
	defer server.Close()
	b.url = server.ClientURL()
	b.out = tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer b.out.Flush()
	for _, p := range parts {
		if only != "" && !slices.Contains(chosen, p.name) {
			continue
		}
		if err := p.run(b); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		b.out.Flush()
	}
	return nil
}

// settle is how long nodes get until everybody knows of everybody's groups: a few beats.
func (b *bench) settle() { time.Sleep(2 * time.Second) }

// row prints cells of one line of the table.
func (b *bench) row(cells ...string) { fmt.Fprintln(b.out, strings.Join(cells, "\t")) }
