// Package storetest has the tests that every store of values by key must pass, the one in
// memory and the one on Redis.
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua/keystore"
)

// A Store is what the tests call.
type Store interface {
	Get(context.Context, keystore.Key) (keystore.Value, error)
	Set(context.Context, keystore.SetArgs) (*keystore.Nothing, error)
	Delete(context.Context, keystore.Key) (*keystore.Nothing, error)
	Increment(context.Context, keystore.IncrementArgs) (keystore.Value, error)
	List(context.Context, keystore.ListArgs) (keystore.ListResult, error)
	Clear(context.Context, keystore.ClearArgs) (*keystore.Nothing, error)
	Info(context.Context, keystore.Nothing) (keystore.Info, error)
	Command(context.Context, keystore.CommandArgs) (keystore.Value, error)
}

type obj = map[string]any

// Run runs the tests; open returns an empty store.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for name, transcript := range transcripts {
		t.Run(name, func(t *testing.T) { transcribe(t, open(t), transcript) })
	}
	t.Run("values", func(t *testing.T) { values(t, open(t)) })
	t.Run("texts that look like numbers", func(t *testing.T) { lookalikes(t, open(t)) })
	t.Run("args", func(t *testing.T) { arguments(t, open(t)) })
	t.Run("what is refused", func(t *testing.T) { refused(t, open(t)) })
	t.Run("increments", func(t *testing.T) { increments(t, open(t)) })
	t.Run("increments from many", func(t *testing.T) { many(t, open(t)) })
	t.Run("lists of keys", func(t *testing.T) { lists(t, open(t)) })
}

func transcribe(t *testing.T, s Store, transcript string) {
	for line := range strings.Lines(strings.TrimSpace(transcript)) {
		call, want, _ := strings.Cut(strings.TrimSpace(line), " = ")
		words := strings.Fields(call)
		args := keystore.CommandArgs{Command: words[0], Key: words[1]}
		for _, w := range words[2:] {
			args.Args = append(args.Args, w)
		}
		got, err := s.Command(t.Context(), args)
		b, _ := json.Marshal(got.Value)
		if err != nil || string(b) != want {
			t.Errorf("%s = %s, %v; want %s", call, b, err, want)
		}
	}
}

func set(t *testing.T, s Store, key string, value any) {
	t.Helper()
	if _, err := s.Set(t.Context(), keystore.SetArgs{Key: key, Value: value}); err != nil {
		t.Fatalf("Set(%q, %#v) = %v", key, value, err)
	}
}

func wantGet(t *testing.T, s Store, key string, want any) {
	t.Helper()
	v, err := s.Get(t.Context(), keystore.Key{Key: key})
	if err != nil || !reflect.DeepEqual(v.Value, want) {
		t.Errorf("Get(%q) = %#v, %v; want %#v", key, v.Value, err, want)
	}
}

func values(t *testing.T, s Store) {
	for _, v := range []any{
		"text", "", "\x00", "\x00s", "\x00j1", 1.5, 0.0, -3.0, 1e300, true, false, []any{}, obj{},
		obj{"a": []any{1.0, nil, obj{"b": "c"}}}, "\xff\xfe", strings.Repeat("long", 1000),
	} {
		set(t, s, "k", v)
		wantGet(t, s, "k", v)
	}
	set(t, s, "k", int64(7))
	wantGet(t, s, "k", 7.0)
	set(t, s, "k", nil)
	wantGet(t, s, "k", nil)
	set(t, s, "k", "x")
	if _, err := s.Delete(t.Context(), keystore.Key{Key: "k"}); err != nil {
		t.Errorf("Delete = %v", err)
	}
	wantGet(t, s, "k", nil)
	if info, err := s.Info(t.Context(), keystore.Nothing{}); info.Keys != 0 || err != nil {
		t.Errorf("Info of an empty store = %+v, %v", info, err)
	}
}

// A text stays a text, also where it spells a number; and what commands read is the text.
func lookalikes(t *testing.T, s Store) {
	for _, text := range []string{"8", "-1.5", " 10 ", "1e5", "inf", "nan", "0x10", "+3", ".5"} {
		set(t, s, "k", text)
		wantGet(t, s, "k", text)
		v, err := s.Command(t.Context(), keystore.CommandArgs{Key: "k", Command: "get"})
		if v.Value != text || err != nil {
			t.Errorf("command get after Set(%q) = %#v, %v", text, v.Value, err)
		}
		length, err := s.Command(t.Context(), keystore.CommandArgs{Key: "k", Command: "strlen"})
		if length.Value != float64(len(text)) || err != nil {
			t.Errorf("command strlen after Set(%q) = %v, %v", text, length.Value, err)
		}
	}
	transcribe(t, s, `
		set n 8 = "OK"
		append n 0 = 2
		incr n = 81
		getset n 5 = "81"
		get n = "5"`)
	wantGet(t, s, "n", "5")
}

// Commands store any arg as the one text that spells it, and read numbers with spaces
// around them.
func arguments(t *testing.T, s Store) {
	command := func(name string, args ...any) any {
		t.Helper()
		v, err := s.Command(t.Context(), keystore.CommandArgs{Key: "k", Command: name, Args: args})
		if err != nil {
			t.Errorf("%s %q = %v", name, args, err)
		}
		return v.Value
	}
	for want, arg := range map[string]any{
		"9007199254740993": int64(1<<53 + 1), "-7": -7, "1e+21": 1e21, "0.5": 0.5, "false": false,
		`[1,{"a":null}]`: []any{1, obj{"a": nil}},
	} {
		command("set", arg)
		if got := command("get"); got != want {
			t.Errorf("get after set of %#v = %#v, want %q", arg, got, want)
		}
	}
	command("set", 40)
	if got := command("incrby", " 2\n"); got != 42.0 {
		t.Errorf(`incrby " 2\n" of 40 = %v, want 42`, got)
	}
	command("set", "x", "EX", " 100 ")
	if left, _ := command("ttl").(float64); left < 1 || left > 100 {
		t.Errorf(`ttl after set with EX " 100 " = %v, want up to 100`, left)
	}
}

func refused(t *testing.T, s Store) {
	deep := any("x")
	for range 100 {
		deep = []any{deep}
	}
	command := func(key, name string, args ...any) error {
		_, err := s.Command(t.Context(), keystore.CommandArgs{Key: key, Command: name, Args: args})
		return err
	}
	setErr := func(key string, v any, ttl float64) error {
		_, err := s.Set(t.Context(), keystore.SetArgs{Key: key, Value: v, TTL: ttl})
		return err
	}
	set(t, s, "text", "abc")
	if err := command("hash", "hset", "f", "v"); err != nil {
		t.Fatal(err)
	}
	_, getErr := s.Get(t.Context(), keystore.Key{Key: "hash"})
	_, incErr := s.Increment(t.Context(), keystore.IncrementArgs{Key: "text"})
	_, incHash := s.Increment(t.Context(), keystore.IncrementArgs{Key: "hash"})
	_, listErr := s.List(t.Context(), keystore.ListArgs{Count: -1})
	for name, err := range map[string]error{
		"empty key":          setErr("", 1.0, 0),
		"long key":           setErr(strings.Repeat("k", keystore.MaxKeyBytes+1), 1.0, 0),
		"deep value":         setErr("k", deep, 0),
		"NaN":                setErr("k", math.NaN(), 0),
		"a Go type":          setErr("k", struct{}{}, 0),
		"negative ttl":       setErr("k", 1.0, -1),
		"ttl NaN":            setErr("k", 1.0, math.NaN()),
		"endless ttl":        setErr("k", 1.0, 1e300),
		"get of a hash":      getErr,
		"increment of text":  incErr,
		"increment of hash":  incHash,
		"negative count":     listErr,
		"unknown command":    command("k", "flushall"),
		"too few args":       command("k", "hget"),
		"too many args":      command("k", "incr", 1.0),
		"half a pair":        command("k", "hset", "a", 1.0, "b"),
		"wrong type":         command("hash", "lpush", "x"),
		"a string as a list": command("text", "lrange", 0.0, -1.0),
		"no number":          command("k", "incrby", "x"),
		"no position":        command("k", "lindex", 1.5),
		"set option":         command("k", "set", "v", "EX"),
		"set time":           command("k", "set", "v", "EX", 0.0),
		"nil arg":            command("k", "sadd", nil),
		"an arg that is NaN": command("k", "set", math.NaN()),
		"deep arg":           command("k", "sadd", deep),
		"no sum":             command("k", "incrby", "nan"),
		"set time inf":       command("k", "set", "v", "EX", "inf"),
		"hincrby of text":    command("hash", "hincrby", "f", 1.0),
	} {
		if !errors.Is(err, gateway.ErrInvalid) {
			t.Errorf("%s: error %v, want type invalid_request", name, err)
		}
	}
	if info, _ := s.Info(t.Context(), keystore.Nothing{}); info.Keys != 2 {
		t.Errorf("keys after refused operations = %d, want the 2 of before", info.Keys)
	}
}

func increments(t *testing.T, s Store) {
	by := func(f float64) *float64 { return &f }
	set(t, s, "text", " 10 ")
	for _, step := range []struct {
		key  string
		by   *float64
		want float64
	}{
		{"n", nil, 1}, {"n", by(0), 1}, {"n", by(2.5), 3.5}, {"n", by(-5), -1.5}, {"text", nil, 11},
		{"large", by(1 << 53), 1 << 53}, {"small", by(1e-9), 1e-9},
	} {
		v, err := s.Increment(t.Context(), keystore.IncrementArgs{Key: step.key, By: step.by})
		if err != nil || v.Value != step.want {
			t.Errorf("Increment(%s) = %v, %v; want %v", step.key, v.Value, err, step.want)
		}
		wantGet(t, s, step.key, step.want)
	}
}

// No increment is lost, from however many at the same time.
func many(t *testing.T, s Store) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if _, err := s.Increment(t.Context(), keystore.IncrementArgs{Key: "n"}); err != nil {
					t.Errorf("Increment = %v", err)
				}
			}
		})
	}
	wg.Wait()
	wantGet(t, s, "n", 800.0)
}

func lists(t *testing.T, s Store) {
	var want []string
	for i := range 1200 {
		key := fmt.Sprintf("k%04d", i)
		want = append(want, key)
		set(t, s, key, 1.0)
	}
	var got []string
	var sizes []int
	for args := (keystore.ListArgs{Count: 500}); ; {
		page, err := s.List(t.Context(), args)
		if err != nil {
			t.Fatal(err)
		}
		got, sizes = append(got, page.Keys...), append(sizes, len(page.Keys))
		if args.Cursor = page.Cursor; args.Cursor == "" {
			break
		}
	}
	if !slices.Equal(got, want) || !slices.Equal(sizes, []int{500, 500, 200}) {
		t.Errorf("List pages of %v keys, want all 1200 in order", sizes)
	}
	if _, err := s.Clear(t.Context(), keystore.ClearArgs{Match: "k0*"}); err != nil {
		t.Errorf("Clear = %v", err)
	}
	if info, err := s.Info(t.Context(), keystore.Nothing{}); info.Keys != 200 || info.Bytes < 200 ||
		err != nil {
		t.Errorf("Info after Clear = %+v, %v; want 200 keys", info, err)
	}
	page, err := s.List(t.Context(), keystore.ListArgs{Match: "k10?0", Count: 3})
	if !slices.Equal(page.Keys, []string{"k1000", "k1010", "k1020"}) || err != nil {
		t.Errorf("List of k10?0 = %q, %v", page.Keys, err)
	}
}
