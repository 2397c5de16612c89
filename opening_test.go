package gateway

import (
	"testing"

	"github.com/wsgateway/gateway/internal/frameq"
)

// What waits before the handshake is answered goes when its answer does: nothing is left
// for a writer to take, whatever pings and pongs had come before.
func TestDiscardedBeforeTheAnswer(t *testing.T) {
	h := New(nil)
	h.Handle("/", Callbacks{})
	s := &Socket{h: h, route: h.routes.load().byText["/"]}
	o := &s.out
	o.s, o.opening = s, true
	o.queue.Push(frameq.NewRaw([]byte("HTTP/1.1 101")), false)
	o.mu.Lock()
	o.asideLocked().add(0x8a, nil)
	o.mu.Unlock()
	if o.close([]byte{3, 240}, true, true) {
		t.Error("there is something to write for a client that was never answered")
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.emptyLocked() {
		t.Errorf("%d bytes and %d of control frames are left, want nothing", o.queue.Size(),
			len(o.controlLocked()))
	}
}
