package keystore

import "slices"

// maxScan is how many keys List looks at for one page, so that no call holds
// the lock for long however many keys there are.
const maxScan = 10_000

// maxSteps is how much looking at the keys of one page may cost: some milliseconds.
const maxSteps = 1_000_000

// keyOrder knows the keys in the order of their bytes. Keys are added and
// removed in constant time; what that leaves undone is done by scan, in time
// linear in the number of keys but with a small factor: it copies, and compares
// little.
type keyOrder struct {
	sorted []string // without duplicates; may have keys that are gone
	added  []string // since sorted was made; may have duplicates, and keys that are gone
	gone   int      // how many keys in both may be gone
}

func (o *keyOrder) add(key string) { o.added = append(o.added, key) }

// remove notes that a key is gone. When most may be, there forgets them.
func (o *keyOrder) remove(there map[string]*entry) {
	o.gone++
	if o.gone > len(there)+64 {
		o.gone = 0
		o.sorted = o.sorted[:0]
		o.added = o.added[:0]
		for key := range there {
			o.added = append(o.added, key)
		}
	}
}

// merge moves what was added to its place.
func (o *keyOrder) merge() {
	if len(o.added) == 0 {
		return
	}
	slices.Sort(o.added)
	all := make([]string, 0, len(o.sorted)+len(o.added))
	rest := o.sorted
	for _, key := range slices.Compact(o.added) {
		i, found := slices.BinarySearch(rest, key)
		all = append(append(all, rest[:i]...), key)
		if found {
			i++
		}
		rest = rest[i:]
	}
	o.sorted, o.added = append(all, rest...), nil
}

// scan calls see with the keys after one, in order, until it returns false or
// has seen most. It returns the last key that it looked at, and whether that was
// the last of all.
func (o *keyOrder) scan(after string, most int, see func(key string) bool) (last string, end bool) {
	o.merge()
	i, found := slices.BinarySearch(o.sorted, after)
	if found {
		i++
	}
	rest := o.sorted[i:]
	for n, key := range rest {
		if n == most {
			return rest[n-1], false
		}
		if !see(key) {
			return key, n == len(rest)-1
		}
	}
	return "", true
}
