package serve

import (
	"context"
	"crypto/rand"
	"net"

	"github.com/centrifugal/centrifuge"
)

// onCentrifuge is a program on centrifugal/centrifuge. It speaks its own JSON
// protocol: an echo is an RPC, a broadcast a publication in a channel to which
// the server subscribes everyone, a send a message push. Messages are JSON
// strings, so they are longer on the wire than those of the others.
type onCentrifuge struct {
	registry[*centrifuge.Client]
	node    *centrifuge.Node
	handler *centrifuge.WebsocketHandler
}

const everyone = "all"

func newCentrifuge(Config) (server, error) {
	return centrifugeWith(func(*centrifuge.Node) error { return nil })
}

// centrifugeWith lets prepare set the engine of the node before it runs.
func centrifugeWith(prepare func(*centrifuge.Node) error) (server, error) {
	s := &onCentrifuge{}
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		return nil, err
	}
	if err := prepare(node); err != nil {
		return nil, err
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{
			Credentials:   &centrifuge.Credentials{UserID: rand.Text()},
			Subscriptions: map[string]centrifuge.SubscribeOptions{everyone: {}},
		}, nil
	})
	node.OnConnect(func(c *centrifuge.Client) {
		id := s.add(c)
		c.OnDisconnect(func(centrifuge.DisconnectEvent) { s.remove(id) })
		c.OnRPC(func(e centrifuge.RPCEvent, answer centrifuge.RPCCallback) {
			answer(centrifuge.RPCReply{Data: e.Data}, nil)
		})
	})
	if err := node.Run(); err != nil {
		return nil, err
	}
	s.node, s.handler = node, centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{})
	return s, nil
}

func (s *onCentrifuge) serve(l net.Listener) error { return serveHTTP(l, s.handler) }

func (s *onCentrifuge) broadcast(m []byte) error {
	_, err := s.node.Publish(everyone, quoted(m))
	return err
}

func (s *onCentrifuge) send(id string, m []byte) error {
	c, err := s.get(id)
	if err != nil {
		return err
	}
	return c.Send(quoted(m))
}

// quoted is the message as a JSON string; ours need no escapes.
func quoted(m []byte) []byte {
	b := make([]byte, 0, len(m)+2)
	b = append(b, '"')
	b = append(b, m...)
	return append(b, '"')
}
