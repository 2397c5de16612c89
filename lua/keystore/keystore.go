// Package keystore is a service for endpoint scripts: values by key, in
// memory, bounded, with expiry. A host gives it to its scripts as Keystore.
//
// The operations take and return what the scripts of the original platform
// expect, its command operation included. What is stored is what
// encoding/json would decode: nil, bool, float64, string, []any and
// map[string]any; a stored nil is as good as none.
package keystore

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua/keystore/internal/rules"
)

// Options bound a [Store]. Zero fields are the defaults; a negative one means
// no bound.
type Options struct {
	MaxKeys       int // how many keys; zero means 100,000
	MaxValueBytes int // the size of one value; zero means 1 MiB
	MaxBytes      int // the size of all keys and values; zero means 64 MiB
}

// MaxKeyBytes is the length of the longest key, 200.
const MaxKeyBytes = rules.MaxKeyBytes

// ErrFull is the error of an operation that would exceed [Options].MaxKeys or
// MaxBytes. A value above MaxValueBytes is [gateway.ErrTooLarge].
var ErrFull = &gateway.Error{Type: "store_full", Status: http.StatusInsufficientStorage,
	Message: "the store is full"}

// A Store holds values by key. Its methods are safe from any goroutine, and
// each is atomic: one lock guards everything, and none holds it for more than a
// few milliseconds, whatever the store holds. Their errors are *gateway.Error.
// Only Clear uses its context: nothing else takes long.
//
// A store has no goroutine: what has expired goes when any operation begins. One
// that is not used any more keeps what it holds until it is garbage.
//
// Sizes are those of the text of a value plus 16 bytes for each of its parts,
// and 300 more for each object in it. The memory used is up to about three times
// as much.
type Store struct {
	opts Options // immutable

	mu      sync.Mutex
	entries map[string]*entry // guarded by mu, as all below
	order   keyOrder          // of the keys of entries
	bytes   int               // of all entries
	due     expiries          // the entries that expire
}

// New returns an empty store. Nil options are the defaults.
func New(opts *Options) *Store {
	var o Options
	if opts != nil {
		o = *opts
	}
	for _, f := range []struct {
		v   *int
		def int
	}{{&o.MaxKeys, 100_000}, {&o.MaxValueBytes, 1 << 20}, {&o.MaxBytes, 64 << 20}} {
		*f.v = cmp.Or(*f.v, f.def)
		if *f.v < 0 {
			*f.v = math.MaxInt
		}
	}
	return &Store{opts: o, entries: map[string]*entry{}}
}

// Key names what an operation works on.
type Key struct {
	Key string `json:"key"` // 1 to MaxKeyBytes bytes
}

// Value is the result of operations that have one.
type Value struct {
	Value any `json:"value,omitempty"` // nil if there is none
}

// Nothing is the result of operations that have none.
type Nothing struct{}

// Get returns the value of a key; Value nil if there is none. A hash, a list
// or a set, which only commands make, is an error of type invalid_request.
func (s *Store) Get(_ context.Context, args Key) (Value, error) {
	defer s.lock()()
	e, err := s.find(args.Key)
	if err != nil || e == nil {
		return Value{}, err
	}
	if kind := kindOf(e.value); kind != "string" {
		return Value{}, wrongType(args.Key, kind, "get, a command for it")
	}
	return Value{clone(e.value)}, nil
}

// SetArgs are the arguments of [Store.Set].
type SetArgs struct {
	Key   string  `json:"key"`           // 1 to MaxKeyBytes bytes
	Value any     `json:"value"`         // nil: as good as none
	TTL   float64 `json:"ttl,omitempty"` // seconds; 0: for ever
}

// Set stores a value, whatever the key held before, and how long it was to
// stay.
func (s *Store) Set(_ context.Context, args SetArgs) (*Nothing, error) {
	value, size, err := rules.Copy(args.Value)
	if err != nil {
		return nil, err
	}
	defer s.lock()()
	e, err := s.find(args.Key)
	if err != nil {
		return nil, err
	}
	expires, err := after(args.TTL)
	if err != nil {
		return nil, err
	}
	if value == nil {
		s.remove(e)
		return nil, nil
	}
	if e, err = s.put(args.Key, e, value, size); err != nil {
		return nil, err
	}
	s.expireAt(e, expires)
	return nil, nil
}

// Delete removes a key. One that is not there is not an error.
func (s *Store) Delete(_ context.Context, args Key) (*Nothing, error) {
	defer s.lock()()
	e, err := s.find(args.Key)
	s.remove(e)
	return nil, err
}

// IncrementArgs are the arguments of [Store.Increment].
type IncrementArgs struct {
	Key string   `json:"key"`          // 1 to MaxKeyBytes bytes
	By  *float64 `json:"by,omitempty"` // nil: 1
}

// Increment adds to the number that a key holds and returns the sum. A key
// that is not there counts as 0, a string as the number it spells. When the
// key expires does not change.
func (s *Store) Increment(_ context.Context, args IncrementArgs) (Value, error) {
	by := 1.0
	if args.By != nil {
		by = *args.By
	}
	defer s.lock()()
	sum, err := s.add(args.Key, by)
	if err != nil {
		return Value{}, err
	}
	return Value{sum}, nil
}

// ListArgs are the arguments of [Store.List].
type ListArgs struct {
	// Match selects keys that contain it or, if it has a "*" or "?", that it
	// matches as a whole: any text, any byte. Empty selects all.
	Match  string `json:"match,omitempty"`
	Cursor string `json:"cursor,omitempty"` // of the page before; empty: the first page
	Count  int    `json:"count,omitempty"`  // keys on a page; 0 and above 1000: 1000
}

// ListResult is a page of keys.
type ListResult struct {
	Keys []string `json:"keys"` // sorted by bytes; never nil
	// for the next page; empty: this is the last. With a Cursor, the next may turn out empty
	Cursor string `json:"cursor,omitempty"`
}

// List returns a page of keys. It looks at 10,000 keys at most, at fewer if they and
// the filter are long: where few of many match, a page has less than Count, even none,
// and a Cursor to go on.
func (s *Store) List(_ context.Context, args ListArgs) (ListResult, error) {
	if args.Count < 0 {
		return ListResult{}, invalidf("count %d is negative", args.Count)
	}
	count := min(cmp.Or(args.Count, 1000), 1000)
	match, steps := rules.NewMatcher(args.Match), 0
	defer s.lock()()
	keys := []string{}
	last, end := s.order.scan(args.Cursor, maxScan, func(key string) bool {
		steps += match.Cost(key)
		if s.entries[key] != nil && match.Matches(key) {
			keys = append(keys, key)
		}
		return len(keys) < count && steps < maxSteps
	})
	if end {
		last = ""
	}
	return ListResult{Keys: keys, Cursor: last}, nil
}

// ClearArgs are the arguments of [Store.Clear].
type ClearArgs struct {
	Match string `json:"match,omitempty"` // as in ListArgs; empty: all keys
}

// Clear removes all keys that match. With a Match it goes over the keys in steps, so
// that others need not wait for long: a key that is set meanwhile may stay, and where
// ctx ends, the rest stays too.
func (s *Store) Clear(ctx context.Context, args ClearArgs) (*Nothing, error) {
	if args.Match == "" {
		defer s.lock()()
		s.entries, s.order, s.bytes, s.due = map[string]*entry{}, keyOrder{}, 0, nil
		return nil, nil
	}
	match := rules.NewMatcher(args.Match)
	for after, end := "", false; !end; {
		if err := ctx.Err(); err != nil {
			return nil, gateway.NewError(gateway.ErrTimeout, "clear has not come to its end: %v", err)
		}
		after, end = s.clearSome(match, after)
	}
	return nil, nil
}

// clearSome is one step of Clear, on the keys after one. It returns the last key that
// it looked at.
func (s *Store) clearSome(match *rules.Matcher, after string) (last string, end bool) {
	defer s.lock()()
	steps := 0
	var found []*entry
	last, end = s.order.scan(after, maxScan, func(key string) bool {
		steps += match.Cost(key)
		if e := s.entries[key]; e != nil && match.Matches(key) {
			found = append(found, e)
		}
		return steps < maxSteps
	})
	for _, e := range found {
		s.remove(e)
	}
	return last, end
}

// Info says how full a store is.
type Info struct {
	Keys  int `json:"keys"`  // how many there are
	Bytes int `json:"bytes"` // their size with that of their values, as [Store] counts it
}

// Info returns how many keys there are and their size with that of their
// values.
func (s *Store) Info(_ context.Context, _ Nothing) (Info, error) {
	defer s.lock()()
	return Info{len(s.entries), s.bytes}, nil
}

// after returns the time ttl seconds from now; zero for a ttl of 0.
func after(ttl float64) (time.Time, error) {
	d, err := rules.Lifetime(ttl)
	if d == 0 {
		return time.Time{}, err
	}
	return time.Now().Add(d), nil
}

func invalidf(format string, args ...any) error {
	return gateway.NewError(gateway.ErrInvalid, format, args...)
}

func wrongType(key, kind, want string) error {
	return invalidf("key %.80q holds a %s: expected %s", key, kind, want)
}
