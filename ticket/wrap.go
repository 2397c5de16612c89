package ticket

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

const (
	queryName      = "ticket"
	protocolPrefix = "ticket."
	protocolHeader = "Sec-Websocket-Protocol" // in canonical form
)

type foundKey struct{}

// found are the tickets that Wrap has taken out of a request.
type found []string

// Wrap returns the handler with the ticket taken out of each request: from the query
// parameter "ticket", and from the offered subprotocols the one that begins with "ticket.".
// Put it outside of everything that logs requests.
func (t *Tickets) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		clean := *r
		var all found
		all = fromQuery(&clean, all)
		all = fromProtocols(&clean, all)
		next.ServeHTTP(w, clean.WithContext(context.WithValue(r.Context(), foundKey{}, all)))
	})
}

// fromQuery takes the tickets out of the request's query.
func fromQuery(r *http.Request, all found) found {
	query, tickets := cutQuery(r.URL.RawQuery)
	if len(tickets) == 0 {
		return all
	}
	u := *r.URL
	u.RawQuery = query
	u.ForceQuery = false
	r.URL = &u
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if r.RequestURI = path; query != "" {
		r.RequestURI = path + "?" + query
	}
	return append(all, tickets...)
}

// cutQuery returns a query without its tickets. All else stays as it was written.
func cutQuery(query string) (rest string, tickets []string) {
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err != nil || plain != queryName {
			kept = append(kept, pair)
			continue
		}
		plain, err := url.QueryUnescape(value)
		if err != nil {
			plain = "" // no ticket looks like this
		}
		tickets = append(tickets, plain)
	}
	return strings.Join(kept, "&"), tickets
}

// fromProtocols takes the tickets out of the offered subprotocols.
func fromProtocols(r *http.Request, all found) found {
	fields := r.Header[protocolHeader]
	var kept []string
	before := len(all)
	for _, field := range fields {
		for one := range strings.SplitSeq(field, ",") {
			one = strings.TrimSpace(one)
			if ticket, ok := strings.CutPrefix(one, protocolPrefix); ok {
				all = append(all, ticket)
			} else if one != "" {
				kept = append(kept, one)
			}
		}
	}
	if len(all) == before {
		return all
	}
	r.Header = r.Header.Clone()
	if r.Header.Del(protocolHeader); len(kept) > 0 {
		r.Header.Set(protocolHeader, strings.Join(kept, ", "))
	}
	return all
}
