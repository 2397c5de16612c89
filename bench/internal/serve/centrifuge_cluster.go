package serve

import (
	"sync"

	"github.com/centrifugal/centrifuge"
	natsgo "github.com/nats-io/nats.go"
)

// newCentrifugeRedis is a node of Centrifuge with the engine that it comes with.
func newCentrifugeRedis(cfg Config) (server, error) {
	return centrifugeWith(func(node *centrifuge.Node) error {
		shard, err := centrifuge.NewRedisShard(node, centrifuge.RedisShardConfig{Address: cfg.Cluster})
		if err != nil {
			return err
		}
		broker, err := centrifuge.NewRedisBroker(node, centrifuge.RedisBrokerConfig{
			Shards: []*centrifuge.RedisShard{shard},
		})
		if err != nil {
			return err
		}
		node.SetBroker(broker)
		return nil
	})
}

// newCentrifugeNATS is a node of Centrifuge over NATS.
func newCentrifugeNATS(cfg Config) (server, error) {
	return centrifugeWith(func(node *centrifuge.Node) error {
		nc, err := natsgo.Connect("nats://"+cfg.Cluster, natsgo.MaxReconnects(-1))
		if err != nil {
			return err
		}
		node.SetBroker(&natsBroker{node: node, nc: nc, subs: map[string]*natsgo.Subscription{}})
		return nil
	})
}

// A natsBroker is what Centrifuge needs of NATS. The library has one among its examples,
// which cannot be imported. This one costs less than that: a publication travels as its
// bytes, and not as JSON within JSON. It has no history.
type natsBroker struct {
	node   *centrifuge.Node
	nc     *natsgo.Conn
	events centrifuge.BrokerEventHandler // set before the first subscription

	mu   sync.Mutex
	subs map[string]*natsgo.Subscription // by channel, guarded by mu
}

// Subjects of the broker.
const (
	centrifugeChannel = "centrifuge.client."
	centrifugeControl = "centrifuge.control"
	centrifugeNode    = "centrifuge.node."
)

func (b *natsBroker) RegisterBrokerEventHandler(h centrifuge.BrokerEventHandler) error {
	b.events = h
	return nil
}

func (b *natsBroker) RegisterControlEventHandler(h centrifuge.ControlEventHandler) error {
	for _, subject := range []string{centrifugeControl, centrifugeNode + b.node.ID()} {
		_, err := b.nc.Subscribe(subject, func(m *natsgo.Msg) { h.HandleControl(m.Data) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *natsBroker) PublishControl(data []byte, node, _ string) error {
	if node == "" {
		return b.nc.Publish(centrifugeControl, data)
	}
	return b.nc.Publish(centrifugeNode+node, data)
}

func (b *natsBroker) Subscribe(channels ...string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ch := range channels {
		if b.subs[ch] != nil {
			continue
		}
		sub, err := b.nc.Subscribe(centrifugeChannel+ch, func(m *natsgo.Msg) {
			pub := &centrifuge.Publication{Data: m.Data}
			b.events.HandlePublication(ch, pub, centrifuge.StreamPosition{}, false, nil)
		})
		if err != nil {
			return err
		}
		b.subs[ch] = sub
	}
	return b.nc.Flush()
}

func (b *natsBroker) Unsubscribe(channels ...string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ch := range channels {
		if sub := b.subs[ch]; sub != nil {
			sub.Unsubscribe()
			delete(b.subs, ch)
		}
	}
	return nil
}

func (b *natsBroker) Publish(ch string, data []byte, _ centrifuge.PublishOptions) (
	centrifuge.PublishResult, error) {
	return centrifuge.PublishResult{}, b.nc.Publish(centrifugeChannel+ch, data)
}

// Nobody here wants to know who comes and goes.
func (b *natsBroker) PublishJoin(string, *centrifuge.ClientInfo) error  { return nil }
func (b *natsBroker) PublishLeave(string, *centrifuge.ClientInfo) error { return nil }

func (b *natsBroker) History(string, centrifuge.HistoryOptions) ([]*centrifuge.Publication,
	centrifuge.StreamPosition, error) {
	return nil, centrifuge.StreamPosition{}, centrifuge.ErrorNotAvailable
}

func (b *natsBroker) RemoveHistory(string) error { return centrifuge.ErrorNotAvailable }
