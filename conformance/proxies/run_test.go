package proxies

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A proxy is a program, and what its configuration needs around the lines of the
// documentation.
type proxy struct {
	name string // also of the block in the documentation
	unix string // how an upstream on a Unix socket is written; SOCKET stands for its path
	tcp  string // of the block, what names the upstream

	file   string // of the configuration
	config string // LISTEN, PORT, DIR, MODULES and LINES are replaced
	args   []string
}

var all = []proxy{
	{
		name: "nginx", tcp: "http://127.0.0.1:8080", unix: "http://unix:SOCKET", file: "nginx.conf",
		config: `daemon off; pid DIR/pid; error_log stderr; events {}
http { access_log off; client_body_temp_path DIR/a; proxy_temp_path DIR/b; fastcgi_temp_path DIR/c;
uwsgi_temp_path DIR/d; scgi_temp_path DIR/e; server { listen LISTEN;
LINES
} }`,
		args: []string{"-p", "DIR", "-e", "stderr", "-c", "DIR/nginx.conf"},
	},
	{
		name: "haproxy", tcp: "127.0.0.1:8080", unix: "unix@SOCKET", file: "haproxy.cfg",
		config: "defaults\n mode http\n timeout client 90s\nfrontend f\n bind LISTEN\n " +
			"default_backend gateway\nLINES",
		args: []string{"-db", "-f", "DIR/haproxy.cfg"},
	},
	{
		name: "apache", tcp: "http://127.0.0.1:8080/ws/", unix: "unix:SOCKET|http://gateway/ws/",
		file: "apache.conf",
		config: `ServerRoot DIR
PidFile DIR/pid
ErrorLog /dev/stderr
Listen LISTEN
ServerName localhost
LoadModule mpm_event_module MODULES/mod_mpm_event.so
LoadModule authz_core_module MODULES/mod_authz_core.so
LoadModule headers_module MODULES/mod_headers.so
LoadModule proxy_module MODULES/mod_proxy.so
LoadModule proxy_http_module MODULES/mod_proxy_http.so
User "#65534"
Group "#65534"
LINES`,
		args: []string{"-D", "FOREGROUND", "-f", "DIR/apache.conf"},
	},
	{
		name: "caddy", tcp: "127.0.0.1:8080", unix: "unix/SOCKET", file: "Caddyfile",
		config: "{\n\tadmin unix/DIR/admin\n\tauto_https off\n}\nhttp://LISTEN {\n\tbind " +
			"127.0.0.1\nLINES\n}\n",
		args: []string{"run", "--config", "DIR/Caddyfile", "--adapter", "caddyfile"},
	},
}

// over is the block with the address of the gateway, a Unix socket or host and port.
func (p proxy) over(block, back string) string {
	if strings.HasPrefix(back, "/") {
		return strings.ReplaceAll(block, p.tcp, strings.ReplaceAll(p.unix, "SOCKET", back))
	}
	return strings.ReplaceAll(block, "127.0.0.1:8080", back)
}

// installed returns the path of the proxy's program, or skips the test. An environment
// variable, such as CADDY, names another program than the one that is in PATH.
func installed(t *testing.T, p proxy) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: clients of another loopback address need Linux")
	}
	if path := os.Getenv(strings.ToUpper(p.name)); path != "" {
		return path
	}
	programs := map[string][]string{"apache": {"apache2", "httpd"}}[p.name]
	if programs == nil {
		programs = []string{p.name}
	}
	for _, program := range programs {
		for _, name := range []string{program, "/usr/sbin/" + program} {
			if path, err := exec.LookPath(name); err == nil {
				return path
			}
		}
	}
	t.Skipf("SKIPPED: %s is not installed", p.name)
	return ""
}

// modules is where Apache's are.
func modules(t *testing.T, p proxy) string {
	if p.name != "apache" {
		return ""
	}
	for _, dir := range []string{"/usr/lib/apache2/modules", "/usr/lib64/httpd/modules",
		"/usr/lib/httpd/modules"} {
		if _, err := os.Stat(filepath.Join(dir, "mod_proxy_http.so")); err == nil {
			return dir
		}
	}
	t.Skip("SKIPPED: Apache's modules are not found")
	return ""
}

// start runs the proxy until the test ends, and returns when it listens.
func start(t *testing.T, p proxy, path, front, lines string) *exec.Cmd {
	t.Helper()
	if old := oldCaddy(path); old != "" {
		t.Logf("NOT TESTED: Caddy %s has no stream_close_delay", old)
		lines = regexp.MustCompile(`(?m)^.*stream_close_delay.*\n`).ReplaceAllString(lines, "")
	}
	dir := openDir(t)
	fill := strings.NewReplacer("DIR", dir, "LISTEN", front, "MODULES", modules(t, p), "LINES", lines)
	if err := os.WriteFile(filepath.Join(dir, p.file), []byte(fill.Replace(p.config)),
		0o644); err != nil {
		t.Fatal(err)
	}
	var args []string
	for _, a := range p.args {
		args = append(args, fill.Replace(a))
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("%s:\n%s", p.name, out.String())
		}
	})
	for give := time.Now().Add(20 * time.Second); ; {
		conn, err := net.Dial("tcp", front)
		if err == nil {
			conn.Close()
			return cmd
		}
		select {
		case <-ended:
			t.Fatalf("%s ended:\n%s", p.name, out.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(give) {
			t.Fatalf("%s does not listen: %v", p.name, err)
		}
	}
}

// oldCaddy returns the version of a Caddy that has no stream_close_delay, or "".
func oldCaddy(path string) string {
	version, err := exec.Command(path, "version").Output()
	if err != nil || !regexp.MustCompile(`^v?2\.[0-6]\.`).Match(version) {
		return ""
	}
	return string(bytes.TrimSpace(version))
}

// freeAddr returns an address that nothing listens on.
func freeAddr(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
