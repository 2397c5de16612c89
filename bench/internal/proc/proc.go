// Package proc runs other processes, and servers in such, to which it talks.
package proc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/wsgateway/gateway/bench/internal/serve"
)

// A Server is a running server process.
type Server struct {
	serve.Addresses
	*Process
	client *http.Client
}

// Start runs the server of that name in a new process: this program once more, whose main
// function begins with [serve.Main], or the one that the server needs.
func Start(ctx context.Context, name string, cfg serve.Config) (*Server, error) {
	cmd, err := serve.Command(ctx, name, cfg)
	if err != nil {
		return nil, err
	}
	p, ready, err := Run(cmd)
	if err != nil {
		return nil, fmt.Errorf("server %s: %w", name, err)
	}
	s := &Server{Process: p, client: &http.Client{Transport: &http.Transport{}}}
	if err := json.Unmarshal([]byte(ready), &s.Addresses); err != nil {
		return nil, errors.Join(fmt.Errorf("server %s says %.100q: %w", name, ready, err), s.Stop())
	}
	return s, nil
}

// Stop ends the process, see [Process.Stop].
func (s *Server) Stop() error {
	s.client.CloseIdleConnections()
	return s.Process.Stop()
}

// Usage is what the process has used so far.
func (s *Server) Usage(ctx context.Context) (u serve.Usage, err error) {
	err = s.call(ctx, "GET", "/usage", nil, &u)
	return u, err
}

// Memory is what the process holds, after garbage collection if asked for.
func (s *Server) Memory(ctx context.Context, collect bool) (m serve.Memory, err error) {
	if collect {
		if err := s.call(ctx, "POST", "/gc", nil, nil); err != nil {
			return m, err
		}
	}
	err = s.call(ctx, "GET", "/memory", nil, &m)
	return m, err
}

// Sockets is how many sockets the server knows.
func (s *Server) Sockets(ctx context.Context) (n int, err error) {
	err = s.call(ctx, "GET", "/sockets", nil, &n)
	return n, err
}

// Broadcast lets the server send n messages of size bytes to every socket.
func (s *Server) Broadcast(ctx context.Context, n, size int) (serve.Sent, error) {
	return s.send(ctx, "/broadcast", n, size)
}

// Burst lets the server send n messages of size bytes to sockets at random.
func (s *Server) Burst(ctx context.Context, n, size int) (serve.Sent, error) {
	return s.send(ctx, "/burst", n, size)
}

// Victim makes the one socket that is open that to which Fill sends.
func (s *Server) Victim(ctx context.Context) error {
	return s.call(ctx, "POST", "/victim", nil, nil)
}

// Fill lets the server begin to send n messages of size bytes to the victim,
// until one is refused.
func (s *Server) Fill(ctx context.Context, n, size int) error {
	return s.call(ctx, "POST", "/fill",
		url.Values{"n": {strconv.Itoa(n)}, "size": {strconv.Itoa(size)}}, nil)
}

// Crowd lets sockets in memory do something, and returns when it is done.
func (s *Server) Crowd(ctx context.Context, w serve.Crowd) error {
	b, err := json.Marshal(w)
	if err != nil {
		return err
	}
	return s.call(ctx, "POST", "/crowd", url.Values{"crowd": {string(b)}}, nil)
}

// StartProfile begins a CPU profile, written to a file.
func (s *Server) StartProfile(ctx context.Context, file string) error {
	return s.call(ctx, "POST", "/profile/start", url.Values{"file": {file}}, nil)
}

// StopProfile ends the CPU profile.
func (s *Server) StopProfile(ctx context.Context) error {
	return s.call(ctx, "POST", "/profile/stop", nil, nil)
}

// HeapProfile writes a heap profile to a file.
func (s *Server) HeapProfile(ctx context.Context, file string) error {
	return s.call(ctx, "POST", "/profile/heap", url.Values{"file": {file}}, nil)
}

func (s *Server) send(ctx context.Context, path string, n, size int) (sent serve.Sent, err error) {
	v := url.Values{"n": {strconv.Itoa(n)}, "size": {strconv.Itoa(size)}}
	err = s.call(ctx, "POST", path, v, &sent)
	return sent, err
}

func (s *Server) call(ctx context.Context, method, path string, v url.Values, result any) error {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+s.Control+path+"?"+v.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, strings.TrimSpace(string(body)))
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(body, result)
}
