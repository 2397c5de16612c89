package prometheus

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsgateway/gateway"
)

// A table is a map that is read without a lock and without an allocation. It is copied
// when a key is new, which happens once for each route.
type table[K comparable, V any] struct {
	current atomic.Pointer[map[K]*V]
	mu      sync.Mutex // held while a copy is made
}

func (t *table[K, V]) all() map[K]*V {
	if m := t.current.Load(); m != nil {
		return *m
	}
	return nil
}

// get returns the value of a key, made where there is none.
func (t *table[K, V]) get(k K, make func() *V) *V {
	if v := t.all()[k]; v != nil {
		return v
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if v := t.all()[k]; v != nil {
		return v
	}
	next := map[K]*V{k: make()}
	maps.Copy(next, t.all())
	t.current.Store(&next)
	return next[k]
}

// A key says what is measured: the events of one type on one route, or its scripts.
type key struct {
	route string
	event gateway.EventType
}

// durations are histograms by key. They are this package's own: the library's would cost
// twice as much for each event, and cores would share them.
type durations struct {
	seconds []float64       // upper bounds
	bounds  []time.Duration // the same
	byKey   table[key, measured]
}

func (d *durations) init(bounds []float64) {
	d.seconds = slices.Clone(bounds)
	for _, b := range bounds {
		d.bounds = append(d.bounds, time.Duration(b*float64(time.Second)))
	}
}

const stripes = 8 // a power of two

// A measured is one histogram, in parts that cores do not share. Sockets choose one by
// their id.
type measured [stripes]struct {
	sum     atomic.Int64 // nanoseconds
	buckets []atomic.Uint64
	_       [96]byte
}

func (d *durations) newMeasured() *measured {
	m := new(measured)
	for i := range m {
		m[i].buckets = make([]atomic.Uint64, len(d.bounds)+1, len(d.bounds)+17) // its own lines
	}
	return m
}

func (d *durations) observe(k key, id string, took time.Duration) {
	part := 0
	if n := len(id); n > 0 {
		part = int(id[n-1]) % stripes
	}
	m := &d.byKey.get(k, d.newMeasured)[part]
	i := 0
	for i < len(d.bounds) && took > d.bounds[i] {
		i++
	}
	m.buckets[i].Add(1)
	m.sum.Add(int64(took))
}

// A histogram is what Prometheus is told.
type histogram struct {
	count   uint64
	sum     float64 // seconds
	buckets map[float64]uint64
}

// collect yields all histograms in the order of their keys.
func (d *durations) collect(yield func(k key, h histogram)) {
	all := d.byKey.all()
	keys := slices.SortedFunc(maps.Keys(all), func(a, b key) int {
		if c := strings.Compare(a.route, b.route); c != 0 {
			return c
		}
		return int(a.event) - int(b.event)
	})
	for _, k := range keys {
		yield(k, d.sum(all[k]))
	}
}

func (d *durations) sum(m *measured) histogram {
	h := histogram{buckets: make(map[float64]uint64, len(d.bounds))}
	var nanoseconds int64
	for i := range m {
		nanoseconds += m[i].sum.Load()
	}
	for b := range len(d.bounds) + 1 {
		for i := range m {
			h.count += m[i].buckets[b].Load()
		}
		if b < len(d.bounds) {
			h.buckets[d.seconds[b]] = h.count
		}
	}
	h.sum = float64(nanoseconds) / 1e9
	return h
}
