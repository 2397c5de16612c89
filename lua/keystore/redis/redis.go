// Package redis is the service of package keystore on Redis or Valkey: the same
// operations for scripts, on state that all nodes of a cluster share and that outlives
// them.
//
//	client := goredis.NewClient(&goredis.Options{Addr: "10.0.0.6:6379"})
//	store := redis.New(client, nil)
//	host := lua.New(gw, &lua.Options{Services: map[string]lua.Service{"Keystore": store.Service()}})
//
// What differs from the store in memory: keys and values are not counted against MaxKeys
// and MaxBytes (give Redis a maxmemory), and list, clear and info read all keys of the
// prefix, a thousand at a time.
package redis

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua"
	"github.com/wsgateway/gateway/lua/keystore"
	"github.com/wsgateway/gateway/lua/keystore/internal/rules"
)

// Options configure a [Store]. Nil, like the zero value, is all defaults.
type Options struct {
	// Prefix stands before every key in Redis. Solutions with different prefixes share
	// nothing. Empty means "keystore:".
	Prefix string

	// MaxValueBytes is the size of one value that Set and commands store, in bytes of
	// text. Zero means 1 MiB; negative: no bound.
	MaxValueBytes int
}

// A Store holds values by key in Redis. Its methods are those of [keystore.Store], safe
// from any goroutine, and each but Clear is atomic, from however many processes. Their
// errors are *gateway.Error: ErrUnreachable where Redis does not answer, ErrTimeout where
// the context ends first, and keystore.ErrFull above its maxmemory. After either of the
// first two nobody knows whether a change was made.
type Store struct {
	c      redis.UniversalClient
	prefix string
	most   int // bytes of a value
}

// New returns a store. The client stays the caller's, who closes it. It may be that of a
// server, of a cluster, or of sentinels.
func New(client redis.UniversalClient, opts *Options) *Store {
	var o Options
	if opts != nil {
		o = *opts
	}
	s := &Store{c: client, prefix: cmp.Or(o.Prefix, "keystore:"), most: cmp.Or(o.MaxValueBytes, 1<<20)}
	if s.most < 0 {
		s.most = math.MaxInt
	}
	return s
}

// Service returns the operations of s under the names that scripts call them by, as
// [keystore.Store.Service] does.
func (s *Store) Service() lua.Service {
	return lua.Service{
		"get":       lua.Func(s.Get),
		"set":       lua.Func(s.Set),
		"delete":    lua.Func(s.Delete),
		"increment": lua.Func(s.Increment),
		"list":      lua.Func(s.List),
		"clear":     lua.Func(s.Clear),
		"info":      lua.Func(s.Info),
		"command":   lua.Func(s.Command),
	}
}

func (s *Store) key(key string) (string, error) {
	if err := rules.CheckKey(key); err != nil {
		return "", err
	}
	return s.prefix + key, nil
}

func (s *Store) checkSize(key string, n int) error {
	if n > s.most {
		return gateway.NewError(gateway.ErrTooLarge,
			"key %.80q: the value has %d bytes, expected at most %d", key, n, s.most)
	}
	return nil
}

// Get returns the value of a key, see [keystore.Store.Get].
func (s *Store) Get(ctx context.Context, args keystore.Key) (keystore.Value, error) {
	key, err := s.key(args.Key)
	if err != nil {
		return keystore.Value{}, err
	}
	raw, err := s.c.Get(ctx, key).Result()
	if errors.Is(err, redis.Nil) {
		return keystore.Value{}, nil
	}
	if err != nil {
		return keystore.Value{}, failure(err)
	}
	v, err := decode(raw)
	return keystore.Value{Value: v}, err
}

// Set stores a value, see [keystore.Store.Set].
func (s *Store) Set(ctx context.Context, args keystore.SetArgs) (*keystore.Nothing, error) {
	raw, err := encode(args.Value)
	if err != nil {
		return nil, err
	}
	key, err := s.key(args.Key)
	if err != nil {
		return nil, err
	}
	ttl, err := lifetime(args.TTL)
	if err != nil {
		return nil, err
	}
	if err := s.checkSize(args.Key, len(raw)); err != nil {
		return nil, err
	}
	if args.Value == nil {
		return nil, failure(s.c.Del(ctx, key).Err())
	}
	return nil, failure(s.c.Set(ctx, key, raw, ttl).Err())
}

// lifetime turns seconds into what Redis counts, whole milliseconds, rounded up.
func lifetime(seconds float64) (time.Duration, error) {
	d, err := rules.Lifetime(seconds)
	return (d + time.Millisecond - 1).Truncate(time.Millisecond), err
}

// Delete removes a key, see [keystore.Store.Delete].
func (s *Store) Delete(ctx context.Context, args keystore.Key) (*keystore.Nothing, error) {
	key, err := s.key(args.Key)
	if err != nil {
		return nil, err
	}
	return nil, failure(s.c.Del(ctx, key).Err())
}

// Increment adds to the number that a key holds, see [keystore.Store.Increment].
func (s *Store) Increment(ctx context.Context, args keystore.IncrementArgs) (keystore.Value,
	error) {
	by := 1.0
	if args.By != nil {
		by = *args.By
	}
	key, err := s.key(args.Key)
	if err != nil {
		return keystore.Value{}, err
	}
	sum, err := s.add(ctx, key, by)
	if err != nil {
		return keystore.Value{}, err
	}
	return keystore.Value{Value: sum}, nil
}

// maxPage is how many keys a page has at most, and how many are asked for at a time.
const maxPage = 1000

// List returns a page of keys, see [keystore.Store.List]. It reads all keys of the prefix.
func (s *Store) List(ctx context.Context, args keystore.ListArgs) (keystore.ListResult, error) {
	if args.Count < 0 {
		return keystore.ListResult{}, invalidf("count %d is negative", args.Count)
	}
	count := min(cmp.Or(args.Count, maxPage), maxPage)
	keys := []string{}
	err := s.scan(ctx, args.Match, func(some []string) error {
		for _, key := range some {
			if key > args.Cursor {
				keys = append(keys, key)
			}
		}
		return nil
	})
	if err != nil {
		return keystore.ListResult{}, err
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	if len(keys) <= count {
		return keystore.ListResult{Keys: keys}, nil
	}
	return keystore.ListResult{Keys: keys[:count], Cursor: keys[count-1]}, nil
}

// scan calls fn with the keys that match, without the prefix; some may come twice.
func (s *Store) scan(ctx context.Context, filter string, fn func(keys []string) error) error {
	match := rules.NewMatcher(filter)
	one := func(ctx context.Context, c redis.Cmdable) error {
		for cursor := uint64(0); ; {
			raw, next, err := c.Scan(ctx, cursor, quote(s.prefix)+"*", maxPage).Result()
			if err != nil {
				return failure(err)
			}
			var keys []string
			for _, key := range raw {
				if key = key[len(s.prefix):]; match.Matches(key) {
					keys = append(keys, key)
				}
			}
			if err := fn(keys); err != nil {
				return err
			}
			if cursor = next; cursor == 0 {
				return nil
			}
		}
	}
	if c, ok := s.c.(*redis.ClusterClient); ok {
		// One server after the other: fn is not called twice at a time.
		var masters []*redis.Client
		add := make(chan *redis.Client, 1024)
		err := c.ForEachMaster(ctx, func(ctx context.Context, m *redis.Client) error {
			add <- m
			return nil
		})
		close(add)
		if err != nil {
			return failure(err)
		}
		for m := range add {
			masters = append(masters, m)
		}
		for _, m := range masters {
			if err := one(ctx, m); err != nil {
				return err
			}
		}
		return nil
	}
	return one(ctx, s.c)
}

// quote makes the prefix mean itself in a pattern of Redis.
func quote(prefix string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(prefix)
}

// Clear removes all keys that match. It is not atomic: keys that come meanwhile may stay.
func (s *Store) Clear(ctx context.Context, args keystore.ClearArgs) (*keystore.Nothing, error) {
	return nil, s.scan(ctx, args.Match, func(keys []string) error {
		_, err := s.c.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, key := range keys {
				p.Unlink(ctx, s.prefix+key)
			}
			return nil
		})
		return failure(err)
	})
}

// Info returns how many keys of the prefix there are, and the memory in bytes that Redis
// says they take.
func (s *Store) Info(ctx context.Context, _ keystore.Nothing) (keystore.Info, error) {
	seen := map[string]bool{}
	var info keystore.Info
	err := s.scan(ctx, "", func(keys []string) error {
		sizes, err := s.c.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, key := range keys {
				if !seen[key] {
					seen[key] = true
					p.MemoryUsage(ctx, s.prefix+key)
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, redis.Nil) { // a key has gone meanwhile
			return failure(err)
		}
		for _, size := range sizes {
			if n := size.(*redis.IntCmd).Val(); n > 0 {
				info.Keys++
				info.Bytes += int(n)
			}
		}
		return nil
	})
	return info, err
}

// A string in Redis holds any value: a number as the text that spells it, so that Redis
// and others can count; other text as it is, unless it could be taken for a number or for
// what follows; then, and for all else, with a mark before it.
const (
	markText = "\x00s"
	markJSON = "\x00j"
)

func encode(v any) (string, error) {
	v, _, err := rules.Copy(v)
	if err != nil {
		return "", err
	}
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return encodeText(v), nil
	case float64:
		return rules.FormatNumber(v), nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "", invalidf("value: %v", err)
	}
	return markJSON + string(b), nil
}

// encodeText marks more than it must: the scripts below decide by the same first byte.
func encodeText(text string) string {
	if text != "" && (text[0] == 0 || strings.IndexByte("+-.0123456789", text[0]) >= 0) {
		return markText + text
	}
	return text
}

func decode(raw string) (any, error) {
	switch {
	case strings.HasPrefix(raw, markText):
		return raw[len(markText):], nil
	case strings.HasPrefix(raw, markJSON):
		var v any
		if err := json.Unmarshal([]byte(raw[len(markJSON):]), &v); err != nil {
			return nil, gateway.NewError(gateway.ErrInternal, "a stored value cannot be read: %w", err)
		}
		return v, nil
	case raw != "" && strings.IndexByte("+-.0123456789", raw[0]) >= 0:
		if f, err := strconv.ParseFloat(raw, 64); err == nil {
			return f, nil
		}
	}
	return raw, nil
}

// plain is the text that commands see of a stored string.
func plain(raw string) string {
	if strings.HasPrefix(raw, markText) || strings.HasPrefix(raw, markJSON) {
		return raw[len(markText):]
	}
	return raw
}

func invalidf(format string, args ...any) error {
	return gateway.NewError(gateway.ErrInvalid, format, args...)
}

// failure says what an error of Redis means to a script.
func failure(err error) error {
	var reply redis.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return gateway.NewError(gateway.ErrTimeout, "the store did not answer in time: %w", err)
	case errors.As(err, &reply):
		text := reply.Error()
		switch {
		case strings.HasPrefix(text, "OOM"):
			return gateway.NewError(keystore.ErrFull, "the store is full: %w", err)
		case strings.HasPrefix(text, "WRONGTYPE"):
			return invalidf("the key holds a value of another kind: %w", err)
		case strings.HasPrefix(text, "ERR "):
			return invalidf("%s: %w", strings.TrimPrefix(text, "ERR "), err)
		}
	}
	return gateway.NewError(gateway.ErrUnreachable, "the store does not answer: %w", err)
}
