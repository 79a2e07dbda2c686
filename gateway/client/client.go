// Package client calls the API of a running gateway, over its control socket or over HTTP, as the commands do.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/socket"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// Client calls the API of one gateway. Make it with Dial.
type Client struct {
	http   *http.Client
	base   string
	where  string
	token  connectors.Secret
	tenant string
}

// Options select a gateway: Server and Token together, or Data alone.
type Options struct {
	// Data is the gateway's data folder, in which its socket is.
	Data string
	// Server is a URL such as https://surveys.example.com.
	Server string
	Token  connectors.Secret
	// Tenant is the tenant of all calls; empty is the token's own, or `default` over the socket.
	Tenant string
}

// Dial returns a client. It checks the options, and sends nothing.
func Dial(o Options) (*Client, error) {
	if o.Server != "" {
		u, err := url.Parse(o.Server)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return nil, fmt.Errorf("--server %q is no URL such as https://surveys.example.com", o.Server)
		}
		if err := connectors.CheckPort(u.Port()); err != nil {
			return nil, fmt.Errorf("--server %s: %w", o.Server, err)
		}
		if o.Token.IsZero() {
			return nil, errors.New("--server needs --token, or SURVEYGATE_TOKEN")
		}
		return &Client{
			http: &http.Client{Timeout: time.Minute}, base: strings.TrimSuffix(o.Server, "/"),
			where: o.Server, token: o.Token, tenant: o.Tenant,
		}, nil
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return socket.Dial(ctx, dialer, o.Data)
		},
	}
	return &Client{
		http: &http.Client{Timeout: time.Minute, Transport: transport}, base: "http://surveygate",
		where: filepath.Join(o.Data, socket.Name), tenant: o.Tenant,
	}, nil
}

// APIError is the error of a call that the gateway answered with a status of 400 or more.
type APIError = view.Problem

// Detail is one fault in an APIError.
type Detail = view.Detail

// ErrInterrupted means that the caller ended a call that changes something before its answer came.
var ErrInterrupted = errors.New("interrupted")

// ErrNotRunning means that no gateway answers at the address in Options.
var ErrNotRunning = errors.New("no gateway is running there")

// Call is one request for Client.Do.
type Call struct {
	Method, Path string
	Query        url.Values
	// Body is sent as ContentType.
	Body        []byte
	ContentType string
	// Header is sent besides Content-Type and Authorization.
	Header map[string]string
	// Wait is how long the answer may take; 0 is a minute.
	Wait time.Duration
	// Status receives the status of an answer below 400; nil discards it.
	Status *int
	// Into receives the body of the answer: a *[]byte its bytes, any other pointer its decoded JSON. nil discards it.
	Into any
}

// Do makes one request. An answer with a status of 400 or more is an *APIError; if its body has no details but fits Into, it is decoded
// there too.
func (c *Client) Do(ctx context.Context, call Call) error {
	req, err := c.request(ctx, &call)
	if err != nil {
		return err
	}
	caller := *c.http
	if call.Wait > 0 {
		caller.Timeout = call.Wait
	}
	res, err := caller.Do(req)
	if err != nil {
		return c.unanswered(req, caller.Timeout, err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("%s: %w", c.where, err)
	}
	if res.StatusCode >= 400 {
		err := refusalOf(res.StatusCode, text, call.Into)
		err.After = retryAfter(res.Header.Get("Retry-After"))
		return err
	}
	if call.Status != nil {
		*call.Status = res.StatusCode
	}
	if call.Into == nil || len(text) == 0 && res.StatusCode == http.StatusNoContent {
		return nil
	}
	if raw, ok := call.Into.(*[]byte); ok {
		*raw = text
		return nil
	}
	if err := json.Unmarshal(text, call.Into); err != nil {
		return c.notUnderstood(err)
	}
	return nil
}

// retryAfter reads the header Retry-After, which the gateway writes in seconds; 0: it is absent.
func retryAfter(text string) time.Duration {
	seconds, err := strconv.Atoi(text)
	if err != nil || seconds < 0 || seconds > int(24*time.Hour/time.Second) {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// request makes the request of a call.
func (c *Client) request(ctx context.Context, call *Call) (*http.Request, error) {
	query := url.Values{}
	maps.Copy(query, call.Query)
	if c.tenant != "" {
		query.Set("tenant", c.tenant)
	}
	target := c.base + call.Path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, call.Method, target, bytes.NewReader(call.Body))
	if err != nil {
		return nil, err
	}
	if call.ContentType != "" {
		req.Header.Set("Content-Type", call.ContentType)
	}
	for name, value := range call.Header {
		req.Header.Set(name, value)
	}
	if !c.token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+c.token.Expose())
	}
	return req, nil
}

// unanswered explains why a request has no answer.
func (c *Client) unanswered(req *http.Request, waited time.Duration, err error) error {
	ctx := req.Context()
	if ctx.Err() != nil && req.Method != http.MethodGet {
		return fmt.Errorf("%s: %w before the answer came (%w): what was asked may be done all the same; look before you repeat it", c.where, ErrInterrupted, context.Cause(ctx))
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		remedy := "start one with `surveygate run`, or name its folder with --data"
		if !c.token.IsZero() {
			remedy = "is --server its address?"
		}
		return fmt.Errorf("%w: %s\n%s", ErrNotRunning, c.where, remedy)
	}
	if _, unreached := errors.AsType[*net.OpError](err); !unreached && errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("%s: the gateway there gave no answer within %s", c.where, waited)
	}
	return fmt.Errorf("%s: %w", c.where, err)
}

// refusalOf returns the error of an answer with a status of 400 or more. A body that has no details but fits into is decoded there.
func refusalOf(status int, text []byte, into any) *APIError {
	refusal := &APIError{}
	if json.Unmarshal(text, refusal) != nil || len(refusal.Detail) == 0 {
		if into != nil && json.Unmarshal(text, into) == nil {
			return &APIError{Status: status}
		}
		refusal.Detail = []Detail{{Msg: strings.TrimSpace(string(text))}}
	}
	refusal.Status = status
	return refusal
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }
