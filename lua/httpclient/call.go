package httpclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/wsgateway/gateway"
)

// A Request is the argument of a script's call.
type Request struct {
	URL    string `json:"url"`
	Method string `json:"method"` // of the function request; "" is GET
	// added to the query of the URL: texts, numbers, booleans
	Query   map[string]any    `json:"query"`
	Headers map[string]string `json:"headers"` // those of the connection, such as Host, are refused
	Body    any               `json:"body"`    // a text as it is; a table as JSON
	// in seconds, of the call; at most Options.Timeout, which 0 means
	Timeout float64 `json:"timeout"`
}

// A Response is what a script gets. That a server answers with an error is no failure
// of the call.
type Response struct {
	StatusCode int `json:"status_code"`
	// by name in lower case; values of one name joined by ", "
	Headers map[string]string `json:"headers"`
	Body    []byte            `json:"body"` // a string of any bytes
}

// connection are headers that belong to the connection, not to the message.
var connection = map[string]bool{
	"Connection": true, "Content-Length": true, "Expect": true, "Host": true, "Keep-Alive": true,
	"Proxy-Authorization": true,
	"Proxy-Connection":    true, "Te": true, "Trailer": true, "Transfer-Encoding": true,
	"Upgrade": true,
}

// Do makes one call.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	timeout := c.opts.Timeout
	if r.Timeout > 0 && r.Timeout < timeout.Seconds() {
		timeout = time.Duration(r.Timeout * float64(time.Second))
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := c.request(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := c.acquire(ctx); err != nil {
		return nil, err
	}
	defer func() { <-c.slots }()
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.failure(ctx, req.URL, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, c.opts.MaxBody+1))
	switch {
	case int64(len(body)) > c.opts.MaxBody:
		return nil, gateway.NewError(
			gateway.ErrTooLarge,
			"the answer of %.200s has more than %d bytes",
			req.URL.Host,
			c.opts.MaxBody,
		)
	case err != nil:
		return nil, c.failure(ctx, req.URL, err)
	}
	result := &Response{
		StatusCode: resp.StatusCode,
		Headers:    make(map[string]string, len(resp.Header)),
		Body:       body,
	}
	for name, values := range resp.Header {
		result.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return result, nil
}

// request makes the request, or says what is wrong with it.
func (c *Client) request(ctx context.Context, r Request) (*http.Request, error) {
	u, err := url.Parse(strings.TrimSpace(r.URL))
	if err != nil {
		return nil, gateway.NewError(gateway.ErrInvalid, "url: it is not valid")
	}
	if err := c.check(u); err != nil {
		return nil, err
	}
	if err := addQuery(u, r.Query); err != nil {
		return nil, err
	}
	body, isJSON, err := bodyOf(r.Body)
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > c.opts.MaxBody {
		return nil, gateway.NewError(
			gateway.ErrTooLarge,
			"the body has more than %d bytes",
			c.opts.MaxBody,
		)
	}
	req, err := http.NewRequestWithContext(
		ctx,
		strings.ToUpper(r.Method),
		u.String(),
		bytes.NewReader(body),
	)
	if err != nil || req.Method == http.MethodConnect {
		return nil, gateway.NewError(gateway.ErrInvalid, "method: %.40q is none", r.Method)
	}
	if isJSON {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range r.Headers {
		if key := http.CanonicalHeaderKey(name); connection[key] {
			return nil, gateway.NewError(gateway.ErrInvalid, "headers: %s is not the script's to set", key)
		}
		req.Header.Set(name, value)
	}
	return req, nil
}

func addQuery(u *url.URL, query map[string]any) error {
	if len(query) == 0 {
		return nil
	}
	values := url.Values{}
	for name, v := range query {
		switch v := v.(type) {
		case string:
			values.Set(name, v)
		case bool:
			values.Set(name, strconv.FormatBool(v))
		case float64:
			values.Set(name, strconv.FormatFloat(v, 'f', -1, 64))
		default:
			return gateway.NewError(gateway.ErrInvalid, "query: %.80s is no text, number or boolean", name)
		}
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += values.Encode()
	return nil
}

func bodyOf(v any) (body []byte, isJSON bool, err error) {
	switch v := v.(type) {
	case nil:
		return nil, false, nil
	case string:
		return []byte(v), false, nil
	}
	if body, err = json.Marshal(v); err != nil {
		return nil, false, gateway.NewError(gateway.ErrInvalid, "body: it has no JSON form")
	}
	return body, true, nil
}

// failure says in a script's words why a call has failed, without addresses.
func (c *Client) failure(ctx context.Context, u *url.URL, err error) error {
	var refused *gateway.Error
	switch {
	case errors.As(err, &refused):
		return refused
	case ctx.Err() != nil:
		return gateway.NewError(gateway.ErrTimeout, "%.200s did not answer in time", u.Host)
	case errors.Is(err, errPrivate):
		return gateway.NewError(
			gateway.ErrForbidden,
			"%.200s has a private address, which scripts may not call",
			u.Host,
		)
	case strings.Contains(err.Error(), "net/http: invalid header field"):
		return gateway.NewError(
			gateway.ErrInvalid,
			"headers: a name or a value has a character that none may have",
		)
	}
	return gateway.NewError(
		gateway.ErrUnreachable,
		"%.200s cannot be reached, or does not answer as an HTTP server does",
		u.Host,
	)
}
