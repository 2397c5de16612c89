// Package natsd joins a gateway to a cluster with a NATS server inside the process, for
// clusters that have no server of their own. The servers of all processes connect to
// each other.
//
//	node, err := natsd.Join(ctx, &natsd.Options{
//		Listen: "10.0.0.5:6222",
//		Routes: []string{"gateways.internal:6222"},
//		Secret: os.Getenv("CLUSTER_SECRET"),
//	})
//
// No port is open that was not asked for: the node talks to its server in memory, the
// servers to each other on Listen, and other programs on Clients, if they are set.
package natsd

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"

	"github.com/wsgateway/gateway/cluster"
	"github.com/wsgateway/gateway/cluster/nats"
	"github.com/wsgateway/gateway/internal/hostlog"
)

// Options configure [Join] and [Start]. Nil, like the zero value, is a server for this
// process alone.
type Options struct {
	// NATS are the options of the connection to the server, and of the node.
	NATS *nats.Options

	// Listen is the host:port on which the servers of the other processes connect. Empty
	// opens no port. Port 0 takes a free one, see [Server.Addr]. Beyond loopback, Secret
	// or TLS must be set.
	Listen string

	// Advertise is the host:port that the others are told to connect to, if it is not
	// Listen: behind NAT, or where Listen has no host.
	Advertise string

	// Routes are host:port of other servers. One that is there is enough, for they tell
	// each other of the rest. A DNS name with many addresses, such as that of a headless
	// service, is one route. The server's own address may be among them. Those that
	// cannot be reached are tried again for ever.
	Routes []string

	// Secret is what the servers prove to each other that they belong together; the same
	// in all. It is sent as it is: across networks that others can read, set TLS, too.
	Secret string

	// TLS secures the connections between the servers, both ways: each must have a
	// certificate that the others trust (RootCAs and ClientCAs).
	TLS *tls.Config

	// Clients is the host:port for other programs that speak NATS. Empty opens no port.
	// Beyond loopback, ClientToken or ClientTLS must be set.
	Clients     string
	ClientToken string      // what they must show
	ClientTLS   *tls.Config // of their connections

	// MaxFrame is the size in bytes of the largest frame. Zero means 1 MiB. It must be
	// the same in all.
	MaxFrame int

	// Logger receives what the server has to say, from Warn on. Nil means slog.Default(),
	// asked anew for each line.
	Logger *slog.Logger
}

// ready bounds the wait for the server to listen.
const ready = 10 * time.Second

// A Server is a NATS server inside this process.
type Server struct{ s *server.Server }

// Start starts a server. It fails with a sentence that says what to change if an option
// is wrong, or if a port cannot be opened.
func Start(opts *Options) (*Server, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	so, err := o.server()
	if err != nil {
		return nil, err
	}
	s, err := server.NewServer(so)
	if err != nil {
		return nil, fmt.Errorf("natsd: %w", err)
	}
	s.SetLoggerV2(&logger{hostlog.Logger(o.Logger).With("component", "natsd")}, false, false, false)
	s.Start()
	if !listens(s, so) {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("natsd: the server does not listen on %q and %q: is a port in use?",
			o.Listen, o.Clients)
	}
	return &Server{s}, nil
}

// noPort is what a server is told to listen on for clients that is to have none. With
// server.Options.DontListen it would not listen for other servers either: it waits for the
// port of the clients. The port that cannot be fails at once and opens nothing.
const noPort = 1 << 17

// listens waits until the server listens where it shall.
func listens(s *server.Server, so *server.Options) bool {
	if so.Port != noPort {
		return s.ReadyForConnections(ready)
	}
	for end := time.Now().Add(ready); s.ClusterAddr() == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// server translates the options for the server.
func (o *Options) server() (*server.Options, error) {
	so := &server.Options{
		ServerName: "", DontListen: true, NoSigs: true, NoLog: true, JetStream: false,
		MaxPayload: int32(1 << 20),
		MaxPending: 256 << 20, // an ordinary pause of a node must not make it a slow consumer
	}
	if o.MaxFrame != 0 {
		if o.MaxFrame < 64<<10 || o.MaxFrame > 64<<20 {
			return nil, fmt.Errorf("natsd: Options.MaxFrame is %d; it must be 64 KiB to 64 MiB", o.MaxFrame)
		}
		so.MaxPayload = int32(o.MaxFrame)
	}
	if o.Clients != "" {
		host, port, err := address("Clients", o.Clients, o.ClientToken != "" || o.ClientTLS != nil,
			"ClientToken or ClientTLS")
		if err != nil {
			return nil, err
		}
		so.DontListen, so.Host, so.Port = false, host, port
		so.TLSConfig, so.TLS = o.ClientTLS, o.ClientTLS != nil
	}
	so.Authorization = o.ClientToken
	if o.Listen == "" {
		if len(o.Routes) > 0 || o.Advertise != "" {
			return nil, fmt.Errorf("natsd: Options.Routes and Advertise need Options.Listen: servers " +
				"connect to each other both ways")
		}
		return so, nil
	}
	if so.DontListen {
		so.DontListen, so.Host, so.Port = false, "127.0.0.1", noPort
	}
	return so, o.cluster(so)
}

func (o *Options) cluster(so *server.Options) error {
	host, port, err := address("Listen", o.Listen, o.Secret != "" || o.TLS != nil, "Secret or TLS")
	if err != nil {
		return err
	}
	c := &so.Cluster
	c.Name, c.Host, c.Port, c.Advertise = "gateway", host, port, o.Advertise
	c.TLSConfig, c.TLSTimeout = o.TLS, 5
	c.Compression.Mode = server.CompressionOff
	// Of servers that are heard of; the routes of the options are tried for ever.
	c.ConnectRetries = 1 << 30
	if o.TLS != nil {
		c.TLSConfig = o.TLS.Clone()
		c.TLSConfig.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if o.Secret != "" {
		c.Username, c.Password = "gateway", o.Secret
	}
	for _, route := range o.Routes {
		if _, _, err := net.SplitHostPort(route); err != nil {
			return fmt.Errorf("natsd: Options.Routes: %q is not host:port", route)
		}
		u := &url.URL{Scheme: "nats", Host: route}
		if o.Secret != "" {
			u.User = url.UserPassword(c.Username, c.Password)
		}
		so.Routes = append(so.Routes, u)
	}
	return nil
}

// address takes a host:port of the options apart. What is open to others must be secured.
func address(name, hostPort string, secured bool, by string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(hostPort)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("natsd: Options.%s %q is not host:port", name, hostPort)
	}
	if ip := net.ParseIP(host); !secured && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", 0, fmt.Errorf("natsd: Options.%s %q can be reached from other machines: set %s, or "+
			"listen on 127.0.0.1", name, hostPort, by)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}

// Addr returns the address on which the servers of other processes connect, or "".
func (s *Server) Addr() string {
	if a := s.s.ClusterAddr(); a != nil {
		return a.String()
	}
	return ""
}

// ClientURL returns the URL for other programs that speak NATS, or "".
func (s *Server) ClientURL() string {
	if a := s.s.Addr(); a != nil && a.String() != "" {
		return "nats://" + a.String()
	}
	return ""
}

// Routes returns how many other servers this one is connected with.
func (s *Server) Routes() int { return s.s.NumRemotes() }

// Close ends the server and waits until it has ended.
func (s *Server) Close() {
	s.s.Shutdown()
	s.s.WaitForShutdown()
}

// Join starts a server and makes this process a node. The server ends with the node. It
// does not wait for other servers; those that come later are found.
func Join(ctx context.Context, opts *Options) (*cluster.Node, error) {
	t, err := NewTransport(opts)
	if err != nil {
		return nil, err
	}
	var o *cluster.Options
	if opts != nil && opts.NATS != nil {
		o = opts.NATS.Cluster
	}
	n, err := cluster.Join(ctx, t, o)
	if err != nil {
		t.server.Close()
		return nil, err
	}
	return n, nil
}

// A Transport is that of a node with a server of its own.
type Transport struct {
	cluster.Transport
	server *Server
}

// NewTransport starts a server and returns a transport that is connected with it in
// memory once it is started. Close ends both.
func NewTransport(opts *Options) (*Transport, error) {
	s, err := Start(opts)
	if err != nil {
		return nil, err
	}
	var o nats.Options
	if opts != nil && opts.NATS != nil {
		o = *opts.NATS
	}
	if o.Conn != nil {
		s.Close()
		return nil, fmt.Errorf("natsd: Options.NATS.Conn is not for a server of one's own; use package " +
			"nats with it")
	}
	o.Connect = append([]natsgo.Option{natsgo.InProcessServer(s.s)}, o.Connect...)
	if opts != nil && opts.ClientToken != "" {
		o.Connect = append(o.Connect, natsgo.Token(opts.ClientToken))
	}
	t, err := nats.NewTransport("", &o)
	if err != nil {
		s.Close()
		return nil, err
	}
	return &Transport{t, s}, nil
}

// Server returns the server.
func (t *Transport) Server() *Server { return t.server }

// Close disconnects the node and ends the server.
func (t *Transport) Close(ctx context.Context) error {
	err := t.Transport.Close(ctx)
	t.server.Close()
	return err
}
