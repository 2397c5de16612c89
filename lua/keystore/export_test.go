package keystore

import "github.com/wsgateway/gateway/lua/keystore/internal/rules"

// Audit returns the size of all entries as counted and as it should be, and
// whether entries and expiries agree.
func (s *Store) Audit() (counted, actual int, consistent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	consistent = true
	expiring := 0
	for key, e := range s.entries {
		size := len(key) + rules.PartSize
		switch v := e.value.(type) {
		case hash:
			size += rules.PartSize
			for f, x := range v {
				size += fieldSize(f, x)
			}
			consistent = consistent && len(v) > 0
		case *list:
			size += rules.PartSize
			for _, x := range v.items {
				size += itemSize(x)
			}
			consistent = consistent && len(v.items) > 0
		case set:
			size += rules.PartSize
			for x := range v {
				size += itemSize(x)
			}
			consistent = consistent && len(v) > 0
		default:
			_, n, err := rules.Copy(v)
			size += n
			consistent = consistent && err == nil && v != nil
		}
		actual += size
		consistent = consistent && e.key == key && e.size == size && (e.index >= 0) == !e.expires.IsZero()
		if e.index >= 0 {
			expiring++
			consistent = consistent && s.due[e.index] == e
		}
	}
	return s.bytes, actual, consistent && expiring == len(s.due)
}

// Held returns how many items the memory of a list could hold.
func (s *Store) Held(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.entries[key].value.(*list)
	return l.taken + cap(l.items)
}

// OrderSize returns how many keys the order has, gone ones included.
func (s *Store) OrderSize() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.order.sorted) + len(s.order.added)
}
