package redis_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua/keystore"
	"github.com/wsgateway/gateway/lua/keystore/internal/storetest"
	"github.com/wsgateway/gateway/lua/keystore/redis"
)

// server starts a Redis or Valkey server that keeps nothing on disk, and returns its
// address. Without one the test skips, aloud.
func server(t *testing.T) string {
	t.Helper()
	var path string
	for _, name := range []string{"redis-server", "valkey-server"} {
		if p, err := exec.LookPath(name); err == nil && path == "" {
			path = p
		}
	}
	if path == "" {
		t.Skip("NOT TESTED: no redis-server or valkey-server is installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir",
		t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return addr
		}
		if time.Since(start) > 30*time.Second {
			t.Fatal("the server does not listen")
		}
	}
}

func connect(t *testing.T, addr string) *goredis.Client {
	t.Helper()
	c := goredis.NewClient(&goredis.Options{Addr: addr})
	t.Cleanup(func() { c.Close() })
	return c
}

// The store passes the tests of the one in memory.
func TestStore(t *testing.T) {
	addr := server(t)
	n := 0
	storetest.Run(t, func(t *testing.T) storetest.Store {
		n++
		return redis.New(connect(t, addr), &redis.Options{Prefix: fmt.Sprintf("test[%d]*:", n)})
	})
}

// Processes share what they store; prefixes share nothing.
func TestSharing(t *testing.T) {
	addr := server(t)
	var wg sync.WaitGroup
	for range 4 { // as many processes
		s := redis.New(connect(t, addr), nil)
		wg.Go(func() {
			for range 100 {
				if _, err := s.Increment(t.Context(), keystore.IncrementArgs{Key: "n"}); err != nil {
					t.Errorf("Increment = %v", err)
				}
			}
		})
	}
	wg.Wait()
	s := redis.New(connect(t, addr), nil)
	if v, err := s.Get(t.Context(), keystore.Key{Key: "n"}); v.Value != 400.0 || err != nil {
		t.Errorf("Get = %v, %v; want 400", v.Value, err)
	}
	other := redis.New(connect(t, addr), &redis.Options{Prefix: "other:"})
	if v, err := other.Get(t.Context(), keystore.Key{Key: "n"}); v.Value != nil || err != nil {
		t.Errorf("Get with another prefix = %v, %v; want nothing", v.Value, err)
	}
	if _, err := other.Clear(t.Context(), keystore.ClearArgs{}); err != nil {
		t.Errorf("Clear = %v", err)
	}
	if info, err := s.Info(t.Context(), keystore.Nothing{}); info.Keys != 1 || err != nil {
		t.Errorf("Info = %+v, %v; want the key that another prefix did not clear", info, err)
	}
}

// What expires is gone, whoever asks, and an increment does not change when.
func TestExpiry(t *testing.T) {
	s := redis.New(connect(t, server(t)), nil)
	if _, err := s.Set(t.Context(), keystore.SetArgs{Key: "n", Value: 1.0, TTL: 0.3}); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Increment(t.Context(), keystore.IncrementArgs{Key: "n"}); v.Value != 2.0 &&
		v.Value != 1.0 || err != nil {
		t.Errorf("Increment = %v, %v", v.Value, err)
	}
	s.Set(t.Context(), keystore.SetArgs{Key: "n", Value: 1.0, TTL: 0.3})
	s.Command(t.Context(), keystore.CommandArgs{Key: "n", Command: "append", Args: []any{"x"}})
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		v, err := s.Get(t.Context(), keystore.Key{Key: "n"})
		if err != nil {
			t.Fatal(err)
		}
		if v.Value == nil {
			break
		}
		if time.Since(start) > 30*time.Second {
			t.Fatalf("the key holds %v long after its time", v.Value)
		}
	}
}

func TestFailures(t *testing.T) {
	addr := server(t)
	c := connect(t, addr)
	s := redis.New(c, &redis.Options{MaxValueBytes: 100})
	_, err := s.Set(t.Context(), keystore.SetArgs{Key: "k", Value: strings.Repeat("x", 101)})
	if !errors.Is(err, gateway.ErrTooLarge) {
		t.Errorf("Set of too many bytes = %v, want too_large", err)
	}
	push := keystore.CommandArgs{Key: "k", Command: "append", Args: []any{strings.Repeat("x", 60)}}
	s.Command(t.Context(), push)
	if _, err := s.Command(t.Context(), push); !errors.Is(err, gateway.ErrTooLarge) {
		t.Errorf("append of too many bytes = %v, want too_large", err)
	}
	if err := c.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Set(t.Context(), keystore.SetArgs{Key: "k", Value: "x"}); !errors.Is(err,
		keystore.ErrFull) {
		t.Errorf("Set above maxmemory = %v, want store_full", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Get(ended, keystore.Key{Key: "k"}); !errors.Is(err, gateway.ErrTimeout) {
		t.Errorf("Get with an ended context = %v, want timeout", err)
	}
	gone := redis.New(goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1", MaxRetries: -1}), nil)
	if _, err := gone.Get(t.Context(), keystore.Key{Key: "k"}); !errors.Is(err,
		gateway.ErrUnreachable) {
		t.Errorf("Get without a server = %v, want unreachable", err)
	}
}
