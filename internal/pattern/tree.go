package pattern

import "strings"

// A Tree finds the value of the most specific pattern that matches a path. The
// zero Tree is empty. Any number of goroutines may call Match at the same time,
// but not while Add is called.
type Tree[V any] struct{ root node[V] }

// A node is one step on the way through the segments of a path.
type node[V any] struct {
	literals map[string]*node[V]
	param    *node[V]
	rest     *leaf[V]
	end      *leaf[V]
}

// A leaf is the end of a pattern.
type leaf[V any] struct {
	value V
	names int // parameters of the pattern
}

// Add adds a pattern that conflicts with none that was added before; of two that
// are equal the second replaces the first.
func (t *Tree[V]) Add(p Pattern, v V) {
	n, end := &t.root, &leaf[V]{v, len(p.names)}
	for _, seg := range p.segs {
		switch seg.kind {
		case rest:
			n.rest = end
			return
		case param:
			if n.param == nil {
				n.param = new(node[V])
			}
			n = n.param
		default:
			if n.literals == nil {
				n.literals = map[string]*node[V]{}
			}
			next := n.literals[seg.text]
			if next == nil {
				next = new(node[V])
				n.literals[seg.text] = next
			}
			n = next
		}
	}
	n.end = end
}

// Match returns the value of the most specific pattern for the segments of
// [SplitPath], and the values of its parameters in the order of [Pattern.Names].
func (t *Tree[V]) Match(segs []string) (v V, params []string, ok bool) {
	found, params := t.root.match(segs, nil)
	if found == nil {
		return v, nil, false
	}
	return found.value, params, true
}

func (n *node[V]) match(segs, params []string) (*leaf[V], []string) {
	if len(segs) == 0 {
		return n.end, params
	}
	if next := n.literals[segs[0]]; next != nil {
		if found, all := next.match(segs[1:], params); found != nil {
			return found, all
		}
	}
	if n.param != nil && segs[0] != "" {
		if found, all := n.param.match(segs[1:], append(params, segs[0])); found != nil {
			return found, all
		}
	}
	if n.rest == nil {
		return nil, nil
	}
	if n.rest.names > len(params) { // the rest has a name
		params = append(params, strings.Join(segs, "/"))
	}
	return n.rest, params
}
