package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/surveygate/surveygate/connectors"
)

// SocketName is the control socket in a gateway's data folder.
const SocketName = "surveygate.sock"

// Client speaks to a running gateway, over its socket or over HTTP. Make it with Dial.
type Client struct {
	http   *http.Client
	base   string
	where  string
	token  connectors.Secret
	tenant string
}

// ClientOptions say which gateway. Server and Token together, or Data alone.
type ClientOptions struct {
	// Data is the gateway's data folder, in which its socket is.
	Data string
	// Server is a URL such as https://surveys.example.com.
	Server string
	Token  connectors.Secret
	// Tenant is whose; empty is the token's own, or default over the socket.
	Tenant string
}

// Dial makes a client. Nothing is sent yet.
func Dial(o ClientOptions) (*Client, error) {
	if o.Server != "" {
		u, err := url.Parse(o.Server)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return nil, fmt.Errorf("--server %q is no URL such as https://surveys.example.com", o.Server)
		}
		if o.Token.IsZero() {
			return nil, errors.New("--server needs --token, or SURVEYGATE_TOKEN")
		}
		return &Client{
			http: &http.Client{Timeout: time.Minute}, base: strings.TrimSuffix(o.Server, "/"),
			where: o.Server, token: o.Token, tenant: o.Tenant,
		}, nil
	}
	socket := filepath.Join(o.Data, SocketName)
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", shortSocket(socket))
		},
	}
	return &Client{
		http: &http.Client{Timeout: time.Minute, Transport: transport}, base: "http://surveygate",
		where: socket, tenant: o.Tenant,
	}, nil
}

// APIError is a refusal by the gateway.
type APIError struct {
	Status    int      `json:"status"`
	Detail    []Detail `json:"detail"`
	RequestID string   `json:"request_id"`
}

// Detail is one thing that was wrong.
type Detail struct {
	Msg  string   `json:"msg"`
	Type string   `json:"type"`
	Loc  []string `json:"loc,omitempty"`
}

func (e *APIError) Error() string {
	var parts []string
	for _, d := range e.Detail {
		parts = append(parts, d.Msg)
	}
	if len(parts) == 0 {
		parts = append(parts, http.StatusText(e.Status))
	}
	return fmt.Sprintf("%s (%d)", strings.Join(parts, "; "), e.Status)
}

// ErrNotRunning is when no gateway answers where one was looked for.
var ErrNotRunning = errors.New("no gateway is running there")

// Do makes one request and decodes the answer into the last argument, unless that is nil. A status of 400 and more
// is an *APIError.
func (c *Client) Do(ctx context.Context, method, path string, query url.Values, contentType string, body []byte, into any) error {
	if c.tenant != "" {
		if query == nil {
			query = url.Values{}
		}
		query.Set("tenant", c.tenant)
	}
	target := c.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if !c.token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+c.token.Expose())
	}
	res, err := c.http.Do(req)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("%w: %s (start one with `surveygate run`, or name its folder with --data)", ErrNotRunning, c.where)
		}
		return fmt.Errorf("%s: %w", c.where, err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("%s: %w", c.where, err)
	}
	if res.StatusCode >= 400 {
		refusal := &APIError{}
		if json.Unmarshal(text, refusal) != nil || len(refusal.Detail) == 0 {
			if into != nil && json.Unmarshal(text, into) == nil {
				return &APIError{Status: res.StatusCode}
			}
			refusal.Detail = []Detail{{Msg: strings.TrimSpace(string(text))}}
		}
		refusal.Status = res.StatusCode
		return refusal
	}
	if into == nil {
		return nil
	}
	if raw, ok := into.(*[]byte); ok {
		*raw = text
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: the answer is not what this version understands: %w", c.where, err)
	}
	return nil
}

// Close lets go of connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }
