package serve

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// Bun is the name of the one server that is not written in Go.
const Bun = "bun"

// bunVersion is what npm is asked for.
const bunVersion = "1.4.5"

//go:embed bun/server.js
var bunServer []byte

// findBun looks for it once, and has npm fetch it where it is not here.
var findBun = sync.OnceValues(func() (program string, err error) {
	if program := bunHere(); program != "" {
		return program, nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", errors.New("neither bun nor npm is installed")
	}
	return installBun(npm)
})

// Missing says why a server cannot run here, nil if it can. Bun is fetched by npm, into
// the user's cache, where it is not installed.
func Missing(name string) error {
	if name != Bun {
		return nil
	}
	_, err := findBun()
	return err
}

// Here reports whether a server can run without anything being fetched for it.
func Here(name string) bool { return name != Bun || bunHere() != "" }

// bunHere is the program, "" if it is not on this machine.
func bunHere() string {
	if program, err := exec.LookPath(Bun); err == nil {
		return program
	}
	dir, err := bunDir()
	if program := bunProgram(dir); err == nil && works(program) {
		return program
	}
	return ""
}

func bunProgram(dir string) string { return filepath.Join(dir, "node_modules", ".bin", Bun) }

func bunDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "gateway-bench", "bun-"+bunVersion), nil
}

func installBun(npm string) (string, error) {
	dir, err := bunDir()
	if err != nil {
		return "", err
	}
	program := bunProgram(dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, npm, "install", "--no-audit", "--no-fund", "--prefix", dir,
		Bun+"@"+bunVersion)
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm install %s: %w: %.300s", Bun, err, bytes.TrimSpace(out))
	}
	if !works(program) {
		return "", fmt.Errorf("%s was installed but does not run", program)
	}
	return program, nil
}

func works(program string) bool { return exec.Command(program, "--version").Run() == nil }

// Command is how the server of that name is started, as a process of its own: this
// program once more, or Bun.
func Command(ctx context.Context, name string, cfg Config) (*exec.Cmd, error) {
	conf, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	if name == Bun {
		return bunCommand(ctx, cfg, string(conf))
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, exe, Flag, name, string(conf)), nil
}

func bunCommand(ctx context.Context, cfg Config, conf string) (*exec.Cmd, error) {
	program, err := findBun()
	if err != nil {
		return nil, err
	}
	dir, err := bunDir()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	script := filepath.Join(dir, "server.js")
	if old, err := os.ReadFile(script); err != nil || !bytes.Equal(old, bunServer) {
		if err := os.WriteFile(script, bunServer, 0o644); err != nil {
			return nil, err
		}
	}
	cmd := exec.CommandContext(ctx, program, script, conf)
	if cfg.TLS {
		cert, key, err := SelfSigned()
		if err != nil {
			return nil, err
		}
		cmd.Env = append(os.Environ(), "BENCH_CERT="+string(cert), "BENCH_KEY="+string(key))
	}
	return cmd, nil
}
