package keystore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua/keystore"
)

// listAll returns the keys of all pages, each of count keys.
func listAll(t *testing.T, s *keystore.Store, match string, count int) (keys []string, pages int) {
	t.Helper()
	args := keystore.ListArgs{Match: match, Count: count}
	for {
		page, err := s.List(t.Context(), args)
		if err != nil {
			t.Fatalf("List(%+v) = %v", args, err)
		}
		keys, pages = append(keys, page.Keys...), pages+1
		if page.Cursor == "" {
			return keys, pages
		}
		if page.Cursor <= args.Cursor {
			t.Fatalf("List(%+v) = cursor %q, which does not go on", args, page.Cursor)
		}
		args.Cursor = page.Cursor
	}
}

// What List says is what a plain map would, whatever comes and goes.
func TestListAgainstAMap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	s, there := keystore.New(nil), map[string]bool{}
	for step := range 20_000 {
		key := fmt.Sprintf("k%d", rnd.IntN(500))
		switch n := rnd.IntN(100); {
		case n < 50:
			set(t, s, key, 1.0, 0)
			there[key] = true
		case n < 99:
			if _, err := s.Delete(t.Context(), keystore.Key{Key: key}); err != nil {
				t.Fatal(err)
			}
			delete(there, key)
		default:
			if _, err := s.Clear(t.Context(), keystore.ClearArgs{Match: "9"}); err != nil {
				t.Fatal(err)
			}
			for k := range there {
				if slices.Contains([]byte(k), '9') {
					delete(there, k)
				}
			}
		}
		if step%100 != 0 {
			continue
		}
		var want []string
		for k := range there {
			want = append(want, k)
		}
		slices.Sort(want)
		if got, _ := listAll(t, s, "", 1+rnd.IntN(50)); !slices.Equal(got, want) {
			t.Fatalf("step %d: List = %q, want %q", step, got, want)
		}
		if n := s.OrderSize(); n > 3*500+200 {
			t.Fatalf("step %d: the order has %d keys, of which most are gone", step, n)
		}
	}
}

// One page looks at a bounded number of keys, and the pages together at all.
func TestListLooksAtFewKeys(t *testing.T) {
	s := keystore.New(nil)
	for i := range 25_000 {
		set(t, s, fmt.Sprintf("key%05d", i), 1.0, 0)
	}
	for match, want := range map[string]struct{ keys, pages int }{
		"key24999": {1, 3}, "nothing": {0, 3}, "key000*": {100, 3}, "": {25_000, 25},
	} {
		keys, pages := listAll(t, s, match, 0)
		if len(keys) != want.keys || pages != want.pages || !slices.IsSorted(keys) {
			t.Errorf("List(%q) = %d keys on %d pages, want %d on %d, sorted", match, len(keys), pages,
				want.keys, want.pages)
		}
	}
}

// A list that was long does not keep its memory.
func TestListsGiveTheirMemoryBack(t *testing.T) {
	for _, pop := range []string{"lpop", "rpop"} {
		s := keystore.New(nil)
		args := make([]any, 5000)
		for i := range args {
			args[i] = float64(i)
		}
		command := func(name string, args ...any) any {
			v, err := s.Command(t.Context(), keystore.CommandArgs{Key: "l", Command: name, Args: args})
			if err != nil {
				t.Fatalf("%s = %v", name, err)
			}
			return v.Value
		}
		command("rpush", args...)
		for i := range 4990 {
			want := fmt.Sprint(i)
			if pop == "rpop" {
				want = fmt.Sprint(4999 - i)
			}
			if got := command(pop); got != want {
				t.Fatalf("%s number %d = %v, want %s", pop, i, got, want)
			}
			if i%2 == 0 { // a queue
				command("lpush", "x")
				command("lpop")
			}
		}
		if n := s.Held("l"); n > 200 {
			t.Errorf("%s: a list of 10 holds the memory of %d", pop, n)
		}
		if counted, actual, ok := s.Audit(); !ok || counted != actual {
			t.Errorf("%s: counted %d bytes, are %d, consistent %v", pop, counted, actual, ok)
		}
	}
}

// Filters on very many long keys look at a part of them at a time, and miss none.
func TestFiltersOnManyKeys(t *testing.T) {
	s := keystore.New(nil)
	const keys = 20_000
	long := strings.Repeat("a", 190)
	for i := range keys {
		set(t, s, fmt.Sprintf("%s%05d%c", long, i, "ab"[i%2]), 1.0, 0)
	}
	match := strings.Repeat("*a", 80) + "*b"
	page, err := s.List(t.Context(), keystore.ListArgs{Match: match})
	if err != nil || page.Cursor == "" || len(page.Keys) > 1000 {
		t.Fatalf("a page has %d keys and the cursor %q: %v", len(page.Keys), page.Cursor, err)
	}
	if found, _ := listAll(t, s, match, 0); len(found) != keys/2 {
		t.Errorf("%d keys, want %d", len(found), keys/2)
	}
	if found, pages := listAll(t, s, match+"c", 0); len(found) != 0 || pages < 8 {
		t.Errorf("%d keys on %d pages, want none on at least 8", len(found), pages)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Clear(ctx, keystore.ClearArgs{Match: match}); !errors.Is(err, gateway.ErrTimeout) {
		t.Errorf("Clear with a context that has ended: %v", err)
	}
	if _, err := s.Clear(t.Context(), keystore.ClearArgs{Match: match}); err != nil {
		t.Fatal(err)
	}
	if info, _ := s.Info(t.Context(), keystore.Nothing{}); info.Keys != keys/2 {
		t.Errorf("%d keys are left, want %d", info.Keys, keys/2)
	}
	if counted, actual, ok := s.Audit(); counted != actual || !ok {
		t.Errorf("counted %d bytes, there are %d", counted, actual)
	}
}
