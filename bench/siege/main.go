// Command siege measures what hostile clients do to good ones: 100 that say something 20
// times a second, beside thousands of one kind of the others. Run it from the root of the
// repository:
//
//	go run ./bench/siege
//	go run ./bench/siege -hostile 500 -only flood,pings
//
// The gateway, the hostile clients and the good ones are processes of their own. The
// gateway has its default bounds; -rate -1 takes its rate limit off, which is what keeps
// most floods out.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/bench/internal/proc"
)

// A config is what all processes are told.
type config struct {
	Addr    string
	Kind    string
	Hostile int
	Good    int
	Rate    float64
	For     time.Duration
}

func main() {
	if play() {
		return
	}
	var c config
	only := flag.String("only", "", "the kinds of hostile clients, as `a,b`; none: all")
	flag.IntVar(&c.Hostile, "hostile", 5000, "`number` of hostile clients")
	flag.IntVar(&c.Good, "good", 100, "`number` of good clients")
	flag.Float64Var(&c.Rate, "rate", 0,
		"messages per `second` of a socket; 0: the default, -1: any")
	flag.DurationVar(&c.For, "for", 8*time.Second, "`how long` the good clients are watched")
	flag.Parse()
	fmt.Println(
		"| hostile clients | open | p50 | p99 | longest | heap and stacks | counted | closed |\n" +
			"|---|--:|--:|--:|--:|--:|--:|---|")
	for _, k := range kinds {
		if *only == "" || slices.Contains(strings.Split(*only, ","), k.name) {
			c.Kind = k.name
			row, err := besiege(c, k)
			check(err)
			fmt.Println(row)
		}
	}
}

// play plays the part of another process, if this is one.
func play() bool {
	role := os.Getenv("SIEGE_ROLE")
	if role == "" {
		return false
	}
	var c config
	check(json.Unmarshal([]byte(os.Getenv("SIEGE_CONFIG")), &c))
	if role == "gateway" {
		check(serve(c))
	} else {
		check(crowd(c))
	}
	return true
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "siege:", err)
		os.Exit(1)
	}
}

// besiege lets one kind of hostile clients loose, and returns the row of the table.
func besiege(c config, k kind) (row string, err error) {
	server, addr, err := start("gateway", c)
	if err != nil {
		return "", err
	}
	defer server.Stop()
	c.Addr = addr
	good, err := meet(c)
	if err != nil {
		return "", err
	}
	hostile, open, err := start("crowd", c)
	if err != nil {
		return "", err
	}
	defer hostile.Stop()
	if _, err := http.Post("http://"+c.Addr+"/begin", "", nil); err != nil {
		return "", err
	}
	waits, err := watch(good, c.For)
	if err != nil {
		return "", fmt.Errorf("%s: %w", k.title, err)
	}
	var most figures
	res, err := http.Get("http://" + c.Addr + "/most")
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&most); err != nil {
		return "", err
	}
	at := func(part float64) time.Duration {
		return waits.Quantile(part).Round(100 * time.Microsecond)
	}
	return fmt.Sprintf("| %s | %s | %v | %v | %v | %d MiB | %d + %d MiB | %s |",
		k.title, open, at(0.5), at(0.99), at(1),
		most.Live>>20, most.Queued>>20, most.Received>>20, causes(most.Closed)), nil
}

func causes(closed map[gateway.Cause]uint64) string {
	var all []string
	for cause, n := range closed {
		all = append(all, fmt.Sprintf("%s %d", cause, n))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// start starts a process and returns the line with which it says that it is ready.
func start(role string, c config) (*proc.Process, string, error) {
	conf, err := json.Marshal(c)
	if err != nil {
		return nil, "", err
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "SIEGE_ROLE="+role, "SIEGE_CONFIG="+string(conf))
	return proc.Run(cmd)
}
