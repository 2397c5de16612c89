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
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/wsgateway/gateway"
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
	defer server.end()
	c.Addr = addr
	good, err := meet(c)
	if err != nil {
		return "", err
	}
	hostile, open, err := start("crowd", c)
	if err != nil {
		return "", err
	}
	defer hostile.end()
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
	slices.Sort(waits)
	at := func(part float64) time.Duration {
		return waits[int(part*float64(len(waits)-1))].Round(100 * time.Microsecond)
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

// A process is one of the others.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

// start starts a process and returns the first line that it prints: it is ready then.
func start(role string, c config) (p process, line string, err error) {
	conf, err := json.Marshal(c)
	if err != nil {
		return p, "", err
	}
	exe, err := os.Executable()
	if err != nil {
		return p, "", err
	}
	p.cmd = exec.Command(exe)
	p.cmd.Env = append(os.Environ(), "SIEGE_ROLE="+role, "SIEGE_CONFIG="+string(conf))
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return p, "", err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return p, "", err
	}
	if err := p.cmd.Start(); err != nil {
		return p, "", err
	}
	line, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		p.end()
		return p, "", fmt.Errorf("the process %s: %w", role, err)
	}
	return p, strings.TrimSpace(line), nil
}

// end ends the process, which waits for that at its standard input.
func (p process) end() {
	p.stdin.Close()
	p.cmd.Wait()
}
