package natsd_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"

	"github.com/wsgateway/gateway/cluster"
	"github.com/wsgateway/gateway/cluster/nats"
	"github.com/wsgateway/gateway/cluster/natsd"
)

// A node that may not use its subjects fails at the start and says which.
func TestPermissions(t *testing.T) {
	allow := func(subjects ...string) *server.SubjectPermission {
		return &server.SubjectPermission{Allow: subjects}
	}
	user := func(name string, pub, sub *server.SubjectPermission) *server.User {
		return &server.User{Username: name, Password: "p", Permissions: &server.Permissions{Publish: pub,
			Subscribe: sub}}
	}
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		Users: []*server.User{
			user("all", allow("mine.>"), allow("mine.>")),
			user("nosub", allow("mine.>"), allow("mine.beat")),
			user("nobeat", allow("mine.n.>"), allow("mine.>")),
			user("nopub", allow("mine.beat"), allow("mine.>")),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		t.Fatal("the server does not start")
	}
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	join := func(name, prefix string, own bool) (*cluster.Node, error) {
		o := options(func(o *cluster.Options) { o.Name = "permission" })
		o.Prefix = prefix
		url := fmt.Sprintf("nats://%s:p@%s", name, s.Addr())
		if own {
			nc, err := natsgo.Connect(url)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(nc.Close)
			o.Conn, url = nc, ""
		}
		return nats.Join(ctx, url, o)
	}
	for _, own := range []bool{false, true} {
		for _, c := range []struct{ user, prefix, subject string }{
			{"nosub", "mine", "mine.n.permission."}, {"nobeat", "mine", "mine.beat"},
			{"nopub", "mine", "mine.n.permission.f"}, {"all", "theirs", "theirs."},
		} {
			_, err := join(c.user, c.prefix, own)
			if err == nil || !strings.Contains(err.Error(), c.subject) || !strings.Contains(err.Error(),
				c.prefix+".>") {
				t.Errorf("Join as %s with prefix %s = %v, want an error that names %s and %s.>", c.user,
					c.prefix, err, c.subject, c.prefix)
			}
		}
	}
	node, err := join("all", "mine", false)
	if err != nil {
		t.Fatalf("Join with the permission = %v, want nil", err)
	}
	node.Close(ctx)
}

func TestWrongOptions(t *testing.T) {
	for text, o := range map[string]natsd.Options{
		"other machines":   {Listen: "0.0.0.0:6222"},
		"set Secret":       {Listen: "10.0.0.1:6222"},
		"set ClientToken":  {Clients: ":4222"},
		"not host:port":    {Listen: "127.0.0.1"},
		"need Options":     {Routes: []string{"a:1"}},
		"Options.Routes:":  {Listen: "127.0.0.1:0", Routes: []string{"a"}},
		"MaxFrame":         {MaxFrame: 5},
		"Options.Prefix":   {NATS: &nats.Options{Prefix: "a..b"}},
		"use package nats": {NATS: &nats.Options{Conn: &natsgo.Conn{}}},
	} {
		o.Logger = quiet
		if _, err := natsd.Join(ctx, &o); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("Join with %+v = %v, want an error that says %q", o, err, text)
		}
	}
	for text, o := range map[string]nats.Options{
		"Options.Prefix":  {Prefix: "a.>"},
		"at most 128":     {Prefix: strings.Repeat("a", 129)},
		"not both":        {Conn: &natsgo.Conn{}},
		"must not be neg": {MaxPendingBytes: -1},
	} {
		if _, err := nats.Join(ctx, "nats://127.0.0.1:1", &o); err == nil ||
			!strings.Contains(err.Error(), text) {
			t.Errorf("Join with %+v = %v, want an error that says %q", o, err, text)
		}
	}
	_, err := nats.Join(ctx, "nats://user:secret@127.0.0.1:1", nil)
	if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(),
		"127.0.0.1:1") {
		t.Errorf("Join without a server = %v, want an error with the address and without the password",
			err)
	}
}

// No port is open that was not asked for.
func TestNoPorts(t *testing.T) {
	s := start(t, natsd.Options{})
	if s.Addr() != "" || s.ClientURL() != "" {
		t.Errorf("the server listens on %q and %q, want nothing", s.Addr(), s.ClientURL())
	}
	if nc, err := net.DialTimeout("tcp", "127.0.0.1:4222", time.Second); err == nil {
		nc.Close()
		t.Error("something listens on NATS's own port")
	}
}

// Servers that secure their connections with certificates find each other.
func TestClusterTLS(t *testing.T) {
	config := certificate(t)
	a := start(t, natsd.Options{Listen: "127.0.0.1:0", TLS: config})
	start(t, natsd.Options{Listen: "127.0.0.1:0", TLS: certificate(t),
		Routes: []string{a.Addr()}}) // a stranger's
	b := start(t, natsd.Options{Listen: "127.0.0.1:0", TLS: config, Routes: []string{a.Addr()}})
	eventually(t, "the two are connected", func() bool { return a.Routes() == 1 && b.Routes() == 1 })
}

// certificate is a certificate that trusts itself and no other.
func certificate(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true,
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der},
			PrivateKey: key}}, RootCAs: pool, ClientCAs: pool,
	}
}
