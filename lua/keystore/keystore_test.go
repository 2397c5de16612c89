package keystore_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua/keystore"
)

type obj = map[string]any

func set(t *testing.T, s *keystore.Store, key string, value any, ttl float64) {
	t.Helper()
	if _, err := s.Set(t.Context(), keystore.SetArgs{Key: key, Value: value, TTL: ttl}); err != nil {
		t.Fatalf("Set(%q) = %v", key, err)
	}
}

func get(t *testing.T, s *keystore.Store, key string) any {
	t.Helper()
	v, err := s.Get(t.Context(), keystore.Key{Key: key})
	if err != nil {
		t.Fatalf("Get(%q) = %v", key, err)
	}
	return v.Value
}

func TestSetGet(t *testing.T) {
	s := keystore.New(nil)
	for _, v := range []any{"text", "", 1.5, true, false, []any{}, obj{},
		obj{"a": []any{1.0, nil, obj{"b": "c"}}}} {
		set(t, s, "k", v, 0)
		if got := get(t, s, "k"); !reflect.DeepEqual(got, v) {
			t.Errorf("Get after Set(%#v) = %#v", v, got)
		}
	}
	set(t, s, "k", int64(7), 0)
	if got := get(t, s, "k"); got != 7.0 {
		t.Errorf("Get after Set(int64 7) = %#v, want the float64", got)
	}
	set(t, s, "k", nil, 0)
	if got := get(t, s, "k"); got != nil {
		t.Errorf("Get after Set(nil) = %#v, want nil", got)
	}
	if info, _ := s.Info(t.Context(), keystore.Nothing{}); info != (keystore.Info{}) {
		t.Errorf("Info after Set(nil) = %+v, want all zero", info)
	}
}

func TestValuesAreCopies(t *testing.T) {
	s := keystore.New(nil)
	in := obj{"list": []any{"a"}}
	set(t, s, "k", in, 0)
	in["list"].([]any)[0] = "changed"
	get(t, s, "k").(obj)["list"].([]any)[0] = "changed"
	if got, want := get(t, s, "k"), (obj{"list": []any{"a"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("Get = %v, want %v: callers share what is stored", got, want)
	}
}

func TestListPages(t *testing.T) {
	s := keystore.New(nil)
	var want []string
	for i := range 2500 {
		key := fmt.Sprintf("k%04d", i)
		want = append(want, key)
		set(t, s, key, 1.0, 0)
	}
	var got []string
	var sizes []int
	for args := (keystore.ListArgs{}); ; {
		page, err := s.List(t.Context(), args)
		if err != nil {
			t.Fatal(err)
		}
		got, sizes = append(got, page.Keys...), append(sizes, len(page.Keys))
		if args.Cursor = page.Cursor; args.Cursor == "" {
			break
		}
	}
	if !slices.Equal(got, want) || !slices.Equal(sizes, []int{1000, 1000, 500}) {
		t.Errorf("List pages of %v keys, want all 2500 in order", sizes)
	}
}

func TestMatchAndClear(t *testing.T) {
	s := keystore.New(nil)
	for _, k := range []string{"a", "room:1", "room:22", "zroom:1", "ro*m"} {
		set(t, s, k, 1.0, 0)
	}
	for match, want := range map[string]string{
		"":         "[a ro*m room:1 room:22 zroom:1]",
		"room":     "[room:1 room:22 zroom:1]",
		"room:*":   "[room:1 room:22]",
		"room:?":   "[room:1]",
		"*:1":      "[room:1 zroom:1]",
		"*o*m*2":   "[room:22]",
		"ro**":     "[ro*m room:1 room:22]",
		"nothing":  "[]",
		"nothing*": "[]",
	} {
		page, err := s.List(t.Context(), keystore.ListArgs{Match: match})
		if got := fmt.Sprint(page.Keys); got != want || err != nil {
			t.Errorf("List(match %q) = %s, %v; want %s", match, got, err, want)
		}
	}
	if _, err := s.Clear(t.Context(), keystore.ClearArgs{Match: "room:*"}); err != nil {
		t.Fatal(err)
	}
	if page, _ := s.List(t.Context(),
		keystore.ListArgs{}); fmt.Sprint(page.Keys) != "[a ro*m zroom:1]" {
		t.Errorf("keys after Clear(room:*) = %v", page.Keys)
	}
	if _, err := s.Clear(t.Context(), keystore.ClearArgs{}); err != nil {
		t.Fatal(err)
	}
	if info, _ := s.Info(t.Context(), keystore.Nothing{}); info != (keystore.Info{}) {
		t.Errorf("Info after Clear = %+v, want all zero", info)
	}
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := keystore.New(nil)
		set(t, s, "short", "v", 1.5)
		set(t, s, "long", "v", 60)
		set(t, s, "ever", "v", 0)
		set(t, s, "kept", "v", 1)
		set(t, s, "kept", "v", 0) // a new value stays for ever
		time.Sleep(1499 * time.Millisecond)
		if get(t, s, "short") != "v" {
			t.Error("a value of 1.5 s is gone after 1.499 s")
		}
		time.Sleep(time.Millisecond)
		if v := get(t, s, "short"); v != nil {
			t.Errorf("a value of 1.5 s is %v after 1.5 s, want none", v)
		}
		if info, _ := s.Info(t.Context(), keystore.Nothing{}); info.Keys != 3 {
			t.Errorf("keys = %d, want 3: what expired takes no room", info.Keys)
		}
		time.Sleep(time.Hour)
		page, _ := s.List(t.Context(), keystore.ListArgs{})
		if fmt.Sprint(page.Keys) != "[ever kept]" {
			t.Errorf("keys after an hour = %v, want [ever kept]", page.Keys)
		}
	})
}

func TestBounds(t *testing.T) {
	ctx := t.Context()
	s := keystore.New(&keystore.Options{MaxKeys: 2, MaxValueBytes: 100, MaxBytes: 250})
	set(t, s, "a", strings.Repeat("x", 80), 0)
	if _, err := s.Set(ctx,
		keystore.SetArgs{Key: "a", Value: strings.Repeat("x", 85)}); !errors.Is(err,
		gateway.ErrTooLarge) {
		t.Errorf("Set of a value above the bound = %v, want too_large", err)
	}
	set(t, s, "b", strings.Repeat("x", 80), 0)
	if _, err := s.Set(ctx, keystore.SetArgs{Key: "c", Value: ""}); !errors.Is(err, keystore.ErrFull) {
		t.Errorf("Set of a third key = %v, want store_full", err)
	}
	set(t, s, "a", strings.Repeat("y", 80), 0) // no growth
	s = keystore.New(&keystore.Options{MaxKeys: -1, MaxValueBytes: -1, MaxBytes: 1000})
	for i := 0; ; i++ {
		_, err := s.Command(ctx,
			keystore.CommandArgs{Key: "s", Command: "sadd", Args: []any{fmt.Sprint("member", i)}})
		if errors.Is(err, keystore.ErrFull) {
			break
		}
		if err != nil || i > 1000 {
			t.Fatalf("sadd %d = %v, want store_full at 1000 bytes", i, err)
		}
	}
	if info, _ := s.Info(ctx, keystore.Nothing{}); info.Bytes > 1000 || info.Bytes < 900 {
		t.Errorf("bytes of the full store = %d, want just under 1000", info.Bytes)
	}
}

func TestConcurrentIncrement(t *testing.T) {
	s := keystore.New(nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				if _, err := s.Increment(context.Background(), keystore.IncrementArgs{Key: "n"}); err != nil {
					t.Error(err)
				}
				if _, err := s.List(context.Background(), keystore.ListArgs{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := get(t, s, "n"); got != 4000.0 {
		t.Errorf("sum of 4000 increments = %v", got)
	}
}

// All operations at once leave a store whose counts are right.
func TestConcurrentOperations(t *testing.T) {
	s := keystore.New(&keystore.Options{MaxKeys: 50, MaxBytes: 20_000})
	ctx := t.Context()
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 500 {
				key := fmt.Sprintf("k%d", (i*7+worker)%70)
				// Errors are of keys of another kind and of a full store.
				_, _ = s.Set(ctx,
					keystore.SetArgs{Key: key, Value: obj{"i": float64(i)}, TTL: float64(i%3) / 1e4})
				_, _ = s.Command(ctx,
					keystore.CommandArgs{Key: key + "l", Command: "rpush", Args: []any{"a", "b"}})
				_, _ = s.Command(ctx, keystore.CommandArgs{Key: key + "l", Command: "lpop"})
				_, _ = s.Command(ctx,
					keystore.CommandArgs{Key: key + "s", Command: "sadd", Args: []any{float64(i)}})
				_, _ = s.Increment(ctx, keystore.IncrementArgs{Key: key + "n"})
				_, _ = s.Get(ctx, keystore.Key{Key: key})
				_, _ = s.List(ctx, keystore.ListArgs{Match: "1"})
				switch i % 50 {
				case 0:
					_, _ = s.Clear(ctx, keystore.ClearArgs{Match: fmt.Sprint(worker)})
				case 25:
					_, _ = s.Delete(ctx, keystore.Key{Key: key})
				}
			}
		})
	}
	wg.Wait()
	if counted, actual, ok := s.Audit(); !ok || counted != actual || counted > 20_000 {
		t.Errorf("counted %d bytes, are %d, want the same and at most 20000; consistent %v", counted,
			actual, ok)
	}
	if info, _ := s.Info(ctx, keystore.Nothing{}); info.Keys > 50 {
		t.Errorf("Info = %+v, want at most 50 keys", info)
	}
}
