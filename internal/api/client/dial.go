package client

import (
	"context"
	"net"
	"net/http"
)

// NewDialer returns a client of a server that is reached by dial alone: the
// one of an engine in the same process, which needs no port.
func NewDialer(dial func(context.Context) (net.Conn, error)) *Client {
	transport := &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		MaxIdleConnsPerHost: 16,
	}
	dialled := &http.Client{Transport: transport}
	return &Client{base: "http://localhost", http: dialled, slow: dialled}
}
