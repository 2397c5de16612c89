package main

import (
	"context"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/wsgateway/gateway"
)

// echo sends every message back as it came.
var echo = gateway.Callbacks{
	OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
		return s.Send(ctx, m)
	},
}

// A notice is what the members of a room receive, as JSON.
type notice struct {
	Type     string `json:"type"` // welcome, joined, said or left
	Room     string `json:"room"`
	From     string `json:"from"`
	SocketID string `json:"socket_id"`
	Text     string `json:"text,omitempty"`
	Time     int64  `json:"time"` // milliseconds since the Unix epoch
}

// chatRooms returns the route of the rooms. A room is a group of sockets: it is
// there as long as somebody is in it.
func chatRooms(gw *gateway.Handler) gateway.Route {
	tell := func(ctx context.Context, s *gateway.Socket, typ, text string) error {
		m, err := noticeOf(s, typ, text)
		if err != nil {
			return err
		}
		_, err = gw.Group(roomOf(s)).Send(ctx, m)
		return err
	}
	return gateway.Route{
		Pattern:   "/rooms/{room}",
		Authorize: admitMember,
		Endpoint: gateway.Callbacks{
			OnOpen: func(ctx context.Context, s *gateway.Socket) error {
				m, err := noticeOf(s, "welcome", "")
				if err != nil {
					return err
				}
				if err := s.Send(ctx, m); err != nil {
					return err
				}
				if err := gw.Group(roomOf(s)).Join(ctx, s.ID()); err != nil {
					return err
				}
				return tell(ctx, s, "joined", "")
			},
			OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
				if m.Type != gateway.MessageText {
					return &gateway.CloseError{Code: 1003, Reason: "rooms are for text"}
				}
				return tell(ctx, s, "said", string(m.Data))
			},
			OnClose: func(ctx context.Context, s *gateway.Socket, _ gateway.Closed) {
				_ = tell(ctx, s, "left", "") // the others may be leaving too
			},
		},
	}
}

// admitMember is asked before the upgrade. A real app would look at a session
// here; this one believes the name in the query.
func admitMember(r *http.Request) (*gateway.Admission, error) {
	name, room := r.URL.Query().Get("name"), r.PathValue("room")
	if name == "" || utf8.RuneCountInString(name) > 40 || utf8.RuneCountInString(room) > 40 {
		return nil,
			gateway.NewError(gateway.ErrInvalid, "a room and the name in it have 1 to 40 characters")
	}
	return &gateway.Admission{Values: map[string]string{"name": name}}, nil
}

func roomOf(s *gateway.Socket) string { return "room:" + s.PathValue("room") }

func noticeOf(s *gateway.Socket, typ, text string) (gateway.Message, error) {
	return gateway.JSON(notice{
		Type: typ, Room: s.PathValue("room"), From: s.Value("name"), SocketID: s.ID(),
		Text: text, Time: time.Now().UnixMilli(),
	})
}
