package gateway

import (
	"context"
	"slices"
	"strings"
	"time"
)

const idLen = nodeLen + 26 // of a socket id

// An Engine carries operations to the other nodes of a cluster. Package cluster has
// one; a program joins the cluster first, which may fail, and hands the result to
// [New] in [Options].Engine. One engine serves one Handler.
//
// The gateway holds no lock while it calls an engine, and never asks it about a socket
// of its own. The methods are called from many goroutines.
type Engine interface {
	// Node returns the name of this node: 10 characters of a to z and 2 to 7. Every
	// socket id of the node begins with it. It must never have been used before.
	Node() string

	// Bind is called once, by New, with the function that carries out on this node
	// what other nodes ask for. The function may be called from many goroutines. It
	// waits only in OpSendSync and OpSendWait; a message and its fields may be used again once it has
	// returned.
	Bind(local func(ctx context.Context, op Op) (Result, error))

	// Do carries out an operation on the socket op.Socket, of another node. Its errors
	// are those of the same call there, and ErrUnreachable (certainly not carried out),
	// ErrTimeout (perhaps carried out) or ErrTooLarge (more than the cluster carries).
	// It is done with op when it returns.
	Do(ctx context.Context, op Op) (Result, error)

	// DoAll carries out an operation on every other node, or on those where it can have
	// an effect, and passes each answer to each: one call at a time, in the goroutine of
	// the caller. What comes in pages comes in several calls. DoAll ends early when each
	// returns false. Its error names the nodes that did not answer in Error.Nodes; what
	// the others answered has been passed on all the same.
	DoAll(ctx context.Context, op Op, each func(Result) bool) error

	// Interest is called after the group may have got its first member on this node,
	// or lost its last. Calls for one group can overtake each other, so the engine asks
	// with OpMember what holds now. Nothing sent to the group by who knows of the join is
	// lost once Interest has returned.
	Interest(group string)

	// Nodes describes all nodes, this one among them.
	Nodes(ctx context.Context) ([]Node, error)

	// Close leaves the cluster and returns when all of the engine has ended, or ctx
	// has. Shutdown calls it when the sockets are closed. It may be called again.
	Close(ctx context.Context) error
}

// An OpKind says what an [Op] does. The numbers travel between nodes and stay what they
// are.
type OpKind uint8

const (
	OpSend       OpKind = 1  // Message to Socket
	OpSendSync   OpKind = 2  // the same, and waits until it is written
	OpClose      OpKind = 3  // Socket, with Code and Reason
	OpInfo       OpKind = 4  // of Socket: Result.Info
	OpJoin       OpKind = 5  // Socket to Group
	OpLeave      OpKind = 6  // Socket from Group
	OpList       OpKind = 7  // the ids of a node, in pages: Result.IDs
	OpGroups     OpKind = 8  // the names of its groups, in pages: Result.Names
	OpMembers    OpKind = 9  // the members of Group or All, in pages: Result.Members
	OpLen        OpKind = 10 // their number: Result.N
	OpGroupSend  OpKind = 11 // Message to the members but Except: Result.N accepted it
	OpGroupClose OpKind = 12 // closes the members but Except with Code and Reason: Result.N
	OpMember     OpKind = 13 // whether Group has members here, 1 or 0 in Result.N
	OpSendWait   OpKind = 15 // Message to Socket, and waits for room
	OpRenew      OpKind = 16 // Expires of what admitted Socket
	OpStatus     OpKind = 14 // Result.N sockets are open or closing; Result.Draining
	OpHold       OpKind = 17 // group sends follow at once: what they queue is written after OpGo
	OpGo         OpKind = 18 // ends OpHold. Both come from the engine itself, never from a node
)

// An Op is one operation on its way to where it is carried out. Which fields count
// depends on its kind.
type Op struct {
	Kind    OpKind  // what to do
	Socket  string  // the id
	Message Message // to send

	Group  string   // its name, or
	All    bool     // the group of every socket
	Except []string // ids that a group operation leaves out
	Refuse bool     // the caller wants to know who refused: Result.Refused

	Expires time.Time // of OpRenew; zero: never

	Code   int    // of the close frame; 0 means 1000
	Reason string // of the close frame

	Page  string // "" for the first page, then Result.Next of the one before
	Limit int    // bytes that a page may have; it holds one entry at least

	// Meanwhile is what the caller of DoAll has to do itself. It does not travel. DoAll may
	// call it once, in the caller's goroutine, when the operation is on its way and before
	// it waits; what was not called the gateway does afterwards. It may be nil.
	Meanwhile func()
}

// A Result is what one node answered to an [Op].
type Result struct {
	N        int       // sockets: closed, accepted, counted
	Info     *Info     // of OpInfo, redacted
	IDs      []string  // of OpList
	Names    []string  // of OpGroups
	Members  []Member  // of OpMembers
	Refused  []Refusal // of OpGroupSend, if Op.Refuse
	Next     string    // the page that follows, or ""
	Draining bool      // of OpStatus: the node takes no more sockets
}

// A Refusal is the error of one member that did not accept a group's message.
type Refusal struct {
	SocketID string // of the member
	Err      error  // as a send to it alone would have returned it
}

// A NodeState says what is known of a node.
type NodeState string

const (
	NodeUp       NodeState = "up"       // it was heard of within its lease
	NodeLost     NodeState = "lost"     // it was not; its sockets are unreachable
	NodeDraining NodeState = "draining" // it takes no more sockets, and says good-bye soon
)

// A Node is one process of a cluster.
type Node struct {
	Name    string    `json:"name"`       // the first 10 characters of its sockets' ids
	Self    bool      `json:"self"`       // it is this process
	State   NodeState `json:"state"`      // as far as this process knows
	Sockets int       `json:"sockets"`    // open or closing, when it was last heard of
	Version string    `json:"version"`    // of the program that runs there, or ""
	Since   time.Time `json:"since"`      // when it started
	Heard   time.Time `json:"last_heard"` // when it was last heard of
}

// Nodes lists the nodes of the cluster in the order of their names, those that are lost
// among them until they are given up. Without an engine the list is this process alone,
// and it cannot fail.
func (h *Handler) Nodes(ctx context.Context) ([]Node, error) {
	if h.opts.Engine != nil {
		return h.opts.Engine.Nodes(ctx)
	}
	open, _ := h.hub.count()
	n := Node{Name: h.node, Self: true, State: NodeUp, Sockets: open, Since: h.epoch,
		Heard: time.Now()}
	if h.hub.refuses() {
		n.State = NodeDraining
	}
	return []Node{n}, nil
}

// ValidNode reports whether the name is one that a node can have: 10 characters of a to
// z and 2 to 7.
func ValidNode(name string) bool { return len(name) == nodeLen && inAlphabet(name) }

func inAlphabet(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// bindEngine connects the gateway with its engine.
func (h *Handler) bindEngine() {
	e := h.opts.Engine
	if e == nil {
		return
	}
	h.node = e.Node()
	if !ValidNode(h.node) {
		panic("gateway: Options: Engine: the node name is not 10 characters of a to z and 2 to 7")
	}
	e.Bind(h.local)
}

// foreign carries out an operation on a socket that this node does not have; err says
// so. It is the one place where a socket id leaves the process.
func (h *Handler) foreign(ctx context.Context, op Op, err error) (Result, error) {
	if !h.isForeign(op.Socket) {
		return Result{}, err
	}
	if ctx.Err() != nil {
		return Result{}, timeout(ctx)
	}
	return h.opts.Engine.Do(ctx, op)
}

// isForeign reports whether the id can be that of a socket of another node.
func (h *Handler) isForeign(id string) bool {
	return h.opts.Engine != nil && len(id) == idLen && inAlphabet(id) && !strings.HasPrefix(id, h.node)
}

// interest tells the engine that a group may have begun or ended here.
func (h *Handler) interest(group string) {
	if h.opts.Engine != nil {
		h.opts.Engine.Interest(group)
	}
}

// elsewhere carries out an operation on all other nodes. Without an engine there are
// none.
func (h *Handler) elsewhere(ctx context.Context, op Op, each func(Result) bool) error {
	if h.opts.Engine == nil {
		return nil
	}
	if ctx.Err() != nil {
		return timeout(ctx)
	}
	return h.opts.Engine.DoAll(ctx, op, each)
}

// countElsewhere adds what the other nodes counted to what this one did.
func (h *Handler) countElsewhere(ctx context.Context, here int, op Op) (int, error) {
	err := h.elsewhere(ctx, op, func(r Result) bool {
		here += r.N
		return true
	})
	return here, err
}

// sendEverywhere sends a group's message to the members on all nodes. Other nodes are at it
// while this one is.
func (g Group) sendEverywhere(ctx context.Context, m Message) (n int, err error) {
	op := g.op(OpGroupSend)
	op.Message, op.Refuse = m, g.refused != nil
	done := false
	op.Meanwhile = func() {
		done = true
		n += g.sendHere(m)
	}
	err = g.h.elsewhere(ctx, op, func(r Result) bool {
		n += r.N
		for _, refusal := range r.Refused {
			g.refused(refusal.SocketID, refusal.Err)
		}
		return true
	})
	if !done {
		op.Meanwhile()
	}
	return n, err
}

// foreign lets a socket of another node join or leave.
func (g Group) foreign(ctx context.Context, kind OpKind, id string, err error) error {
	if g.h == nil || g.all || g.check() != nil {
		return err // which says what is wrong with the group
	}
	_, err = g.h.foreign(ctx, Op{Kind: kind, Socket: id, Group: g.name}, err)
	return err
}

// membersElsewhere yields the members on other nodes, and the error.
func (g Group) membersElsewhere(ctx context.Context, yield func(Member, error) bool) {
	more := true
	err := g.h.elsewhere(ctx, g.op(OpMembers), func(r Result) bool {
		for _, m := range r.Members {
			if more = yield(m, nil); !more {
				return false
			}
		}
		return true
	})
	if err != nil && more {
		yield(Member{}, err)
	}
}

// op returns an operation on the group.
func (g Group) op(kind OpKind) Op {
	return Op{Kind: kind, Group: g.name, All: g.all, Except: g.except}
}

// namesElsewhere adds the names of the other nodes' groups.
func (h *Handler) namesElsewhere(ctx context.Context, here []string) ([]string, error) {
	if h.opts.Engine == nil {
		return here, nil
	}
	err := h.elsewhere(ctx, Op{Kind: OpGroups}, func(r Result) bool {
		here = append(here, r.Names...)
		return true
	})
	slices.Sort(here)
	return slices.Compact(here), err
}

// listElsewhere yields the ids of the other nodes' sockets, and the error.
func (h *Handler) listElsewhere(ctx context.Context, yield func(string, error) bool) {
	more := true
	err := h.elsewhere(ctx, Op{Kind: OpList}, func(r Result) bool {
		for _, id := range r.IDs {
			if more = yield(id, nil); !more {
				return false
			}
		}
		return true
	})
	if err != nil && more {
		yield("", err)
	}
}

// closeEngine leaves the cluster, if there is one.
func (h *Handler) closeEngine(ctx context.Context) error {
	if h.opts.Engine == nil {
		return nil
	}
	return h.opts.Engine.Close(ctx)
}
