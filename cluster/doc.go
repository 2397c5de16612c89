// Package cluster joins many processes into one gateway. It knows the nodes, carries
// operations between them, and tells apart what was done, what was certainly not done,
// and what nobody can know. How bytes travel is a [Transport]'s: module cluster/nats has
// one for NATS, package clustertest one in memory for tests.
//
//	node, err := nats.Join(ctx, "nats://10.0.0.5:4222", nil)
//	if err != nil {
//		log.Fatal(err)
//	}
//	gw := gateway.New(&gateway.Options{Engine: node})
//
// # Who owns a socket
//
// A socket id begins with the name of the node that the socket is connected to. So
// nothing is looked up and nothing is registered: an operation on the id is one question
// to that node and its answer. The name is random for each process.
//
// # What errors mean
//
//   - not_found: the node says so, or it has left, or was silent for Options.GoneAfter.
//   - unreachable: certainly not carried out. It may be tried again.
//   - timeout: asked, and no answer came. It may have been carried out or not; who tries
//     again may do it twice.
//   - too_large: more than the transport carries in one frame.
//   - queue_full, closed and the others: the owner's answer, as on one node.
//
// A call over several nodes returns what is known together with an error whose Nodes
// names those that did not answer.
//
// # Order
//
// What one caller sends to one socket, alone or through groups, arrives in order, for
// everything from one node to another travels in one stream. Its frames are numbered:
// one that comes twice or late is dropped, never delivered out of turn.
//
// # Groups
//
// Every node knows of which groups the others have members, so what is sent to a group
// goes to nodes that have some, and each answers how many accepted it. Who joins a socket
// to a group can send to it at once; to other nodes the first member on a node is known a
// moment later, about as long as a message takes. A node that may
// have missed a change is asked for everything again, and until then taken for one that
// has members of every group.
package cluster
