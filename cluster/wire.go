package cluster

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"github.com/wsgateway/gateway"
)

// Fields of an operation that are there, in the order in which they follow each other.
const (
	opHasSocket = 1 << iota
	opHasMessage
	opHasGroup
	opIsAll
	opHasExcept
	opWantsRefusals
	opHasCode
	opHasReason
	opHasPage
	opHasLimit
	opHasExpires
)

const idTail = 26 // of a socket id, what follows the node's name

// appendOp writes an operation for the node that owns op.Socket, if there is one.
func appendOp(b []byte, op *gateway.Op) []byte {
	var has uint64
	set := func(bit uint64, is bool) {
		if is {
			has |= bit
		}
	}
	set(opHasSocket, op.Socket != "")
	set(opHasMessage, op.Message.Type != 0)
	set(opHasGroup, op.Group != "")
	set(opIsAll, op.All)
	set(opHasExcept, len(op.Except) > 0)
	set(opWantsRefusals, op.Refuse)
	set(opHasCode, op.Code != 0)
	set(opHasReason, op.Reason != "")
	set(opHasPage, op.Page != "")
	set(opHasLimit, op.Limit != 0)
	set(opHasExpires, !op.Expires.IsZero())
	b = binary.AppendUvarint(append(b, byte(op.Kind)), has)
	if has&opHasSocket != 0 {
		b = append(b, op.Socket[nameLen:]...)
	}
	if has&opHasMessage != 0 {
		b = appendString(append(b, byte(op.Message.Type)), op.Message.Key)
		b = appendString(b, op.Message.Data)
	}
	if has&opHasGroup != 0 {
		b = appendString(b, op.Group)
	}
	if has&opHasExcept != 0 {
		b = binary.AppendUvarint(b, uint64(len(op.Except)))
		for _, id := range op.Except {
			b = appendString(b, id)
		}
	}
	if has&opHasCode != 0 {
		b = binary.AppendUvarint(b, uint64(op.Code))
	}
	if has&opHasReason != 0 {
		b = appendString(b, op.Reason)
	}
	if has&opHasPage != 0 {
		b = appendString(b, op.Page)
	}
	if has&opHasLimit != 0 {
		b = binary.AppendUvarint(b, uint64(op.Limit))
	}
	if has&opHasExpires != 0 {
		b = binary.AppendVarint(b, op.Expires.UnixNano())
	}
	return b
}

// opSize is at most how many bytes an operation takes in a frame with nothing else.
func opSize(op *gateway.Op) int {
	n := 64 + idTail + len(op.Message.Data) + len(op.Message.Key)
	n += len(op.Group) + len(op.Reason) + len(op.Page)
	for _, id := range op.Except {
		n += len(id) + binary.MaxVarintLen32
	}
	return n + headerLen
}

// op reads an operation for the node self. The message's bytes are not copied.
func (r *reader) op(self string) (op gateway.Op) {
	op.Kind = gateway.OpKind(r.byte())
	has := r.uvarint()
	if has&opHasSocket != 0 {
		op.Socket = self + string(r.take(idTail))
	}
	if has&opHasMessage != 0 {
		op.Message.Type = gateway.MessageType(r.byte())
		op.Message.Key = r.string()
		op.Message.Data = r.bytes()
	}
	if has&opHasGroup != 0 {
		op.Group = r.string()
	}
	op.All = has&opIsAll != 0
	if has&opHasExcept != 0 {
		n := r.count(1)
		for range n {
			op.Except = append(op.Except, r.string())
		}
	}
	op.Refuse = has&opWantsRefusals != 0
	if has&opHasCode != 0 {
		op.Code = r.int()
	}
	if has&opHasReason != 0 {
		op.Reason = r.string()
	}
	if has&opHasPage != 0 {
		op.Page = r.string()
	}
	if has&opHasLimit != 0 {
		op.Limit = r.int()
	}
	if has&opHasExpires != 0 {
		op.Expires = time.Unix(0, r.varint())
	}
	return op
}

// Fields of a result that are there.
const (
	resHasN = 1 << iota
	resHasInfo
	resHasIDs
	resHasNames
	resHasMembers
	resHasRefused
	resHasNext
	resIsDraining
)

// appendResult writes the answer of a node to one of its peers.
func appendResult(b []byte, res *gateway.Result) ([]byte, error) {
	var has uint64
	set := func(bit uint64, is bool) {
		if is {
			has |= bit
		}
	}
	set(resHasN, res.N != 0)
	set(resHasInfo, res.Info != nil)
	set(resHasIDs, len(res.IDs) > 0)
	set(resHasNames, len(res.Names) > 0)
	set(resHasMembers, len(res.Members) > 0)
	set(resHasRefused, len(res.Refused) > 0)
	set(resHasNext, res.Next != "")
	set(resIsDraining, res.Draining)
	b = binary.AppendUvarint(b, has)
	if has&resHasN != 0 {
		b = binary.AppendUvarint(b, uint64(res.N))
	}
	if has&resHasInfo != 0 {
		text, err := marshalInfo(res.Info)
		if err != nil {
			return nil, err
		}
		b = appendString(b, text)
	}
	if has&resHasIDs != 0 {
		b = binary.AppendUvarint(b, uint64(len(res.IDs)))
		for _, id := range res.IDs {
			b = append(b, id[nameLen:]...)
		}
	}
	if has&resHasNames != 0 {
		b = binary.AppendUvarint(b, uint64(len(res.Names)))
		for _, name := range res.Names {
			b = appendString(b, name)
		}
	}
	if has&resHasMembers != 0 {
		b = binary.AppendUvarint(b, uint64(len(res.Members)))
		for i := range res.Members {
			b = appendMember(b, &res.Members[i])
		}
	}
	if has&resHasRefused != 0 {
		b = binary.AppendUvarint(b, uint64(len(res.Refused)))
		for i := range res.Refused {
			b = append(b, res.Refused[i].SocketID[nameLen:]...)
			b = appendError(b, res.Refused[i].Err)
		}
	}
	if has&resHasNext != 0 {
		b = appendString(b, res.Next)
	}
	return b, nil
}

// result reads what the node from answered.
func (r *reader) result(from string) (res gateway.Result) {
	has := r.uvarint()
	if has&resHasN != 0 {
		res.N = r.int()
	}
	if has&resHasInfo != 0 {
		res.Info = r.info()
	}
	if has&resHasIDs != 0 {
		n := r.count(idTail)
		res.IDs = make([]string, 0, n)
		for range n {
			res.IDs = append(res.IDs, from+string(r.take(idTail)))
		}
	}
	if has&resHasNames != 0 {
		n := r.count(1)
		for range n {
			res.Names = append(res.Names, r.string())
		}
	}
	if has&resHasMembers != 0 {
		n := r.count(idTail + 2)
		for range n {
			res.Members = append(res.Members, r.member(from))
		}
	}
	if has&resHasRefused != 0 {
		n := r.count(idTail + 3)
		for range n {
			id := from + string(r.take(idTail))
			res.Refused = append(res.Refused, gateway.Refusal{SocketID: id, Err: r.error()})
		}
	}
	if has&resHasNext != 0 {
		res.Next = r.string()
	}
	res.Draining = has&resIsDraining != 0
	return res
}

func appendMember(b []byte, m *gateway.Member) []byte {
	b = append(b, m.SocketID[nameLen:]...)
	b = binary.AppendUvarint(b, uint64(max(0, m.Opened.UnixNano())))
	b = binary.AppendUvarint(b, uint64(len(m.Values)))
	for k, v := range m.Values {
		b = appendString(appendString(b, k), v)
	}
	return b
}

func (r *reader) member(from string) gateway.Member {
	m := gateway.Member{SocketID: from + string(r.take(idTail))}
	m.Opened = time.Unix(0, int64(r.uvarint()))
	if n := r.count(2); n > 0 {
		m.Values = make(map[string]string, n)
		for range n {
			k := r.string()
			m.Values[k] = r.string()
		}
	}
	return m
}

// infoWire is an Info but for the error that its close event may have, which JSON does not
// carry. It is not the info object: nothing of the Go value is lost.
type infoWire struct {
	*plainInfo
	CloseErr string `json:",omitempty"`
}

type plainInfo gateway.Info

func marshalInfo(info *gateway.Info) ([]byte, error) {
	plain := plainInfo(*info)
	w := infoWire{plainInfo: &plain}
	if err := plain.Last.Closed.Err; err != nil {
		w.CloseErr, plain.Last.Closed.Err = err.Error(), nil
	}
	return json.Marshal(&w)
}

func (r *reader) info() *gateway.Info {
	w := infoWire{plainInfo: new(plainInfo)}
	if err := json.Unmarshal(r.bytes(), &w); err != nil || w.plainInfo == nil {
		r.fail()
		return nil
	}
	info := gateway.Info(*w.plainInfo)
	if w.CloseErr != "" {
		info.Last.Closed.Err = errors.New(w.CloseErr)
	}
	return &info
}

func appendError(b []byte, err error) []byte {
	e := gateway.ErrorOf(err)
	b = appendString(b, e.Type)
	b = binary.AppendUvarint(b, uint64(max(0, e.Status)))
	return appendString(b, e.Message)
}

func (r *reader) error() error {
	e := &gateway.Error{Type: r.string(), Status: r.int(), Message: r.string()}
	if e.Status < 400 || e.Status > 599 || e.Type == "" {
		r.fail()
		return gateway.ErrInternal
	}
	return e
}
