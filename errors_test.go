package gateway_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/wsgateway/gateway"
)

func TestNewErrorKeepsTypeStatusAndCause(t *testing.T) {
	err := gateway.NewError(gateway.ErrTooMany, "no room for %q: %w", "x", context.Canceled)
	if got, want := *err, (gateway.Error{Type: "too_many_sockets", Status: 503,
		Message: `no room for "x": context canceled`, Err: context.Canceled}); !reflect.DeepEqual(got,
		want) {
		t.Errorf("NewError = %#v, want %#v", got, want)
	}
	if !errors.Is(err, gateway.ErrTooMany) || !errors.Is(err, context.Canceled) ||
		errors.Is(err, gateway.ErrClosed) {
		t.Error("the error must be of its type and have its cause, and no other")
	}
	if plain := gateway.NewError(gateway.ErrInvalid, "100%%"); plain.Message != "100%" ||
		plain.Err != nil {
		t.Errorf("NewError without a cause = %#v", plain)
	}
	twice := gateway.NewError(gateway.ErrInternal, "%w and %w", context.Canceled,
		context.DeadlineExceeded)
	if !errors.Is(twice, context.Canceled) || !errors.Is(twice, context.DeadlineExceeded) {
		t.Errorf("NewError with two causes = %#v", twice)
	}
}
