package gateway

import (
	"context"
	"net/http"
	"reflect"
	"sync"
)

// baseContext returns the context of the connection that the request came through:
// what BaseContext and ConnContext of the server have made. The request's own will not
// do, for routers pool what they put there, and reuse it for other requests as soon as
// ServeHTTP has returned. And to ask BaseContext again would be a call that its host
// does not expect.
//
// So it is looked for below: the first context that knows the server but not yet the
// connection's address, which net/http adds right after ConnContext. The contexts on the
// way embed what they were made of. Where one does not, there is no way down, and the
// events have no values, as [Admission] says.
func baseContext(r *http.Request) context.Context {
	first := r.Context()
	ctx := first
	for ctx != nil && ctx.Value(http.LocalAddrContextKey) != nil {
		ctx = parentOf(ctx)
	}
	if ctx == nil || ctx == first || ctx.Value(http.ServerContextKey) == nil {
		return context.Background() // not found, or no server of net/http
	}
	return ctx
}

// EventContext returns the context that a socket's events get where its [Admission] has
// none. It is for an Authorize function that adds values to it: its result, with the values,
// becomes the Admission's Context.
func EventContext(r *http.Request) context.Context { return baseContext(r) }

// parentOf returns the context that ctx embeds, or nil.
func parentOf(ctx context.Context) context.Context {
	v := reflect.ValueOf(ctx)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return nil
	}
	index, known := embedded.Load(v.Type())
	if !known {
		index, _ = embedded.LoadOrStore(v.Type(), embeddedIn(v.Type()))
	}
	if index.([]int) == nil {
		return nil
	}
	field, err := v.FieldByIndexErr(index.([]int))
	if err != nil || !field.CanInterface() {
		return nil
	}
	parent, _ := field.Interface().(context.Context)
	return parent
}

// embedded has what embeddedIn found, by reflect.Type: looking for a field by its name
// takes longer than all else here, and a program has few types of contexts.
var embedded sync.Map

// embeddedIn returns the index of the context that the struct embeds, or nil.
func embeddedIn(t reflect.Type) []int {
	f, ok := t.FieldByName("Context")
	if !ok || !f.Anonymous || f.Type != reflect.TypeFor[context.Context]() {
		return nil
	}
	return f.Index
}
