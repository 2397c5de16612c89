package gateway

import "context"

// local carries out on this node what another one asked for. It trusts nothing: every
// check of the public methods is made again.
func (h *Handler) local(ctx context.Context, op Op) (Result, error) {
	switch op.Kind {
	case OpSend, OpSendSync, OpSendWait, OpClose, OpInfo, OpJoin, OpLeave, OpRenew:
		return h.localSocket(ctx, op)
	case OpList:
		return h.idPage(op)
	case OpGroups:
		return h.namePage(op)
	case OpStatus:
		open, _ := h.hub.count()
		return Result{N: open, Draining: h.hub.refuses()}, nil
	case OpHold, OpGo:
		h.flusher.hold(op.Kind == OpHold)
		return Result{}, nil
	case OpMembers, OpLen, OpGroupSend, OpGroupClose, OpMember:
		g := Group{h: h, name: op.Group, all: op.All, except: op.Except}
		if err := g.check(); err != nil {
			return Result{}, err
		}
		return g.local(op)
	}
	return Result{}, NewError(ErrUnsupported, "this node does not know the operation %d", op.Kind)
}

func (h *Handler) localSocket(ctx context.Context, op Op) (Result, error) {
	s, err := h.find(op.Socket)
	if err != nil {
		return Result{}, err
	}
	g := h.Group(op.Group)
	switch op.Kind {
	case OpSend, OpSendSync, OpSendWait:
		if err := checkMessage(&op.Message); err != nil {
			return Result{}, err
		}
		if op.Kind == OpSendSync {
			return Result{}, s.sendSync(ctx, &op.Message)
		}
		if op.Kind == OpSendWait {
			return Result{}, s.sendWait(ctx, &op.Message)
		}
		return Result{}, s.send(ctx, &op.Message)
	case OpClose:
		return Result{}, s.CloseWith(op.Code, op.Reason)
	case OpRenew:
		return Result{}, s.Renew(op.Expires)
	case OpInfo:
		info := s.Info().redacted()
		return Result{Info: &info}, nil
	case OpJoin:
		if err := g.check(); err != nil {
			return Result{}, err
		}
		return Result{}, s.join(op.Group)
	}
	if err := g.check(); err != nil {
		return Result{}, err
	}
	s.leave(op.Group)
	return Result{}, nil
}

// local carries out a group operation that another node asked for.
func (g Group) local(op Op) (Result, error) {
	switch op.Kind {
	case OpMembers:
		return g.memberPage(op)
	case OpLen:
		return Result{N: g.lenHere()}, nil
	case OpMember:
		return Result{N: min(1, g.lenHere())}, nil
	case OpGroupSend:
		if err := checkMessage(&op.Message); err != nil {
			return Result{}, err
		}
		var r Result
		if op.Refuse {
			g.refused = func(id string, err error) { r.Refused = append(r.Refused, Refusal{id, err}) }
		}
		r.N = g.sendHere(op.Message)
		return r, nil
	}
	code, err := checkClose(op.Code, op.Reason)
	if err != nil {
		return Result{}, err
	}
	return Result{N: g.closeHere(code, op.Reason)}, nil
}
