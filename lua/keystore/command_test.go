package keystore_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway/lua/keystore"
	"github.com/wsgateway/gateway/lua/keystore/internal/storetest"
)

// TestCommands runs what every store must pass: the commands, what is refused, increments.
func TestCommands(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store {
		s := keystore.New(nil)
		t.Cleanup(func() { audit(t, s, "all commands") })
		return s
	})
}

func run(t *testing.T, s *keystore.Store, words ...string) (any, error) {
	args := keystore.CommandArgs{Command: words[0], Key: words[1]}
	for _, w := range words[2:] {
		args.Args = append(args.Args, w)
	}
	v, err := s.Command(t.Context(), args)
	return v.Value, err
}

func audit(t *testing.T, s *keystore.Store, after string) {
	t.Helper()
	if counted, actual, ok := s.Audit(); counted != actual || !ok {
		t.Fatalf("after %s: %d bytes counted, %d there, consistent %v", after, counted, actual, ok)
	}
}

func TestCommandExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := keystore.New(nil)
		at := time.Now().Add(90 * time.Second).Unix()
		for _, step := range []struct {
			call string
			want string
			wait time.Duration
		}{
			{"ttl k", "-2", 0},
			{"set k v EX 10", `"OK"`, 0},
			{"ttl k", "10", 3 * time.Second},
			{"ttl k", "7", 0},
			{"persist k", "1", 0},
			{"persist k", "0", 0},
			{"ttl k", "-1", 0},
			{"pexpire k 1500", "1", 0},
			{"pttl k", "1500", time.Second},
			{"incr n", "1", 0},
			{"expire n 5", "1", 0},
			{"incr n", "2", 0},
			{"ttl n", "5", time.Second},
			{"exists k", "0", 4 * time.Second},
			{"exists n", "0", 0},
			{"setex k 1 v", `"OK"`, 0},
			{"set k v", `"OK"`, 2 * time.Second},
			{"get k", `"v"`, 0},
			{"set k v px 100", `"OK"`, 0},
			{"getset k w", `"v"`, time.Second},
			{"get k", `"w"`, 0},
			{fmt.Sprint("expireat k ", at), "1", 60 * time.Second},
			{"exists k", "1", 30 * time.Second},
			{"exists k", "0", 0},
			{"expire k 1", "0", 0},
			{"sadd s a", "1", 0},
			{"expire s 0", "1", 0},
			{"exists s", "0", 0},
			{"sadd s a", "1", 0},
			{"pexpireat s 1", "1", 0},
			{"exists s", "0", 0},
		} {
			got, err := run(t, s, strings.Fields(step.call)...)
			b, _ := json.Marshal(got)
			if err != nil || string(b) != step.want {
				t.Errorf("%s = %s, %v; want %s", step.call, b, err, step.want)
			}
			audit(t, s, step.call)
			time.Sleep(step.wait)
		}
	})
}

func TestCommandArgsAreText(t *testing.T) {
	s := keystore.New(nil)
	_, err := s.Command(t.Context(), keystore.CommandArgs{Key: "l", Command: "RPUSH",
		Args: []any{1.0, 1.5, true, "x", int64(3), 4, obj{"b": []any{1.0}, "a": "c"}, 1e300}})
	if err != nil {
		t.Fatal(err)
	}
	got, _ := run(t, s, "lrange", "l", "0", "-1")
	want := []any{"1", "1.5", "true", "x", "3", "4", `{"a":"c","b":[1]}`, "1e+300"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("items = %q, want %q", got, want)
	}
}

// TestAccounting runs random operations on a few keys in a small store and
// checks after each that sizes and expiries are what the entries say.
func TestAccounting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := keystore.New(&keystore.Options{MaxKeys: 6, MaxValueBytes: 300, MaxBytes: 900})
		r := rand.New(rand.NewPCG(1, 2))
		word := func() string { return strings.Repeat(string(rune('a'+r.IntN(4))), 1+r.IntN(40)) }
		number := func() string { return fmt.Sprint(r.IntN(9) - 4) }
		calls := []func(k string) []string{
			func(k string) []string { return []string{"set", k, word(), "EX", fmt.Sprint(1 + r.IntN(9))} },
			func(k string) []string { return []string{"set", k, number()} },
			func(k string) []string { return []string{"incrby", k, number()} },
			func(k string) []string { return []string{"append", k, word()} },
			func(k string) []string { return []string{"expire", k, number()} },
			func(k string) []string { return []string{"persist", k} },
			func(k string) []string { return []string{"hset", k, word(), word(), word(), word()} },
			func(k string) []string { return []string{"hdel", k, word(), word()} },
			func(k string) []string { return []string{"hincrby", k, "n", number()} },
			func(k string) []string { return []string{"lpush", k, word(), word()} },
			func(k string) []string { return []string{"rpush", k, word()} },
			func(k string) []string { return []string{"lpop", k} },
			func(k string) []string { return []string{"rpop", k} },
			func(k string) []string { return []string{"ltrim", k, number(), number()} },
			func(k string) []string { return []string{"lrem", k, number(), "a"} },
			func(k string) []string { return []string{"sadd", k, word(), word(), word()} },
			func(k string) []string { return []string{"srem", k, word(), word(), word()} },
			func(k string) []string { return []string{"del", k} },
		}
		failed := 0
		for range 20_000 {
			c := calls[r.IntN(len(calls))](string(rune('p' + r.IntN(8))))
			if _, err := run(t, s, c...); err != nil {
				failed++
			}
			audit(t, s, strings.Join(c, " "))
			if r.IntN(10) == 0 {
				time.Sleep(time.Duration(r.IntN(3)) * time.Second)
			}
		}
		if failed == 0 || failed > 15_000 {
			t.Errorf("%d of 20000 operations were refused; the test means some to be, and most not", failed)
		}
	})
}
