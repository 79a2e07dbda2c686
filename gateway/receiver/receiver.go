// Package receiver is a small HTTP server that receives webhooks as a customer's server would, for tests and demos.
package receiver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/signature"
)

// Receiver is an HTTP server that receives webhooks, verifies their signatures and reports each request. Start it with Listen.
type Receiver struct {
	server   *http.Server
	listener net.Listener
	served   chan error
}

// Options configure a Receiver.
type Options struct {
	// Listen is host:port; port 0 selects a free port.
	Listen string
	// Style is the name of the expected signature style; `none` verifies nothing. Secrets are those to verify with.
	Style   string
	Secrets []string
	// Answer returns the status for a request; nil answers 200 if the signature is valid, and 401 otherwise.
	Answer func(Received) int
	// Body returns the body of the answer; nil answers without one.
	Body func(Received) string
	// Delay is how long each request waits for its answer. It ends early, without an answer, when Listen's context ends or the sender
	// closes the connection.
	Delay time.Duration
	// Heard is called with every request, after the answer was written.
	Heard func(Received)
	// Clock is what Delay waits for; nil is the system's.
	Clock clock.Clock
}

// Received is one request.
type Received struct {
	At     time.Time   `json:"at"`
	Method string      `json:"method"`
	Path   string      `json:"path"`
	Header http.Header `json:"header"`
	Body   []byte      `json:"body"`
	// ID is the webhook-id: the same on every attempt of one delivery.
	ID string `json:"id,omitempty"`
	// Attempt is which request of the delivery this is, from 1. Without an id, requests with the same path and body are one delivery.
	Attempt int `json:"attempt"`
	// Good reports whether the signature is valid; Fault is the reason if it is not.
	Good  bool   `json:"signature_ok"`
	Fault string `json:"fault,omitempty"`
	// Status is the status of the answer; 0 if the sender closed the connection before it.
	Status int `json:"status"`
}

// maxReceived limits a request's body.
const maxReceived = 2 << 20

// Listen starts a Receiver.
func Listen(ctx context.Context, o Options) (*Receiver, error) {
	var style connectors.Signature
	if err := style.UnmarshalText([]byte(o.Style)); err != nil {
		return nil, err
	}
	secrets := make([]connectors.Secret, len(o.Secrets))
	for i, s := range o.Secrets {
		secrets[i] = connectors.NewSecret(s)
	}
	if len(secrets) == 0 && o.Style != "none" && o.Style != "chattosurvey" {
		return nil, fmt.Errorf("signature %s cannot be verified without a secret; `none` verifies nothing", o.Style)
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return nil, err
	}
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	counted := &attempts{}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReceived))
		if err != nil {
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			return
		}
		got := Received{
			At: o.Clock.Now(), Method: r.Method, Path: r.URL.Path, Header: r.Header, Body: body,
			ID: r.Header.Get("webhook-id"), Good: true, Status: http.StatusOK,
		}
		if err := signature.Verify(style, secrets, r.Header.Get, body, got.At); err != nil {
			got.Good, got.Fault, got.Status = false, err.Error(), http.StatusUnauthorized
			if refused, ok := errors.AsType[*signature.Refused](err); ok {
				got.Fault = refused.Reason
			}
		}
		got.Attempt = counted.count(&got)
		if o.Answer != nil {
			got.Status = o.Answer(got)
		}
		if !o.wait(ctx, r.Context()) {
			if got.Status = 0; o.Heard != nil && ctx.Err() == nil {
				o.Heard(got)
			}
			panic(http.ErrAbortHandler) // a handler that returns answers 200
		}
		w.WriteHeader(got.Status)
		if o.Body != nil {
			_, _ = io.WriteString(w, o.Body(got))
		}
		if o.Heard != nil {
			o.Heard(got)
		}
	})
	r := &Receiver{
		server:   &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 75 * time.Second, MaxHeaderBytes: 64 << 10},
		listener: listener, served: make(chan error, 1),
	}
	go func() { r.served <- r.server.Serve(listener) }()
	return r, nil
}

// wait waits for Delay. It returns false if the request or the receiver ended before.
func (o *Options) wait(ctx, request context.Context) bool {
	if o.Delay <= 0 {
		return true
	}
	over, stop := o.Clock.After(o.Delay)
	defer stop()
	select {
	case <-over:
		return true
	case <-request.Done():
	case <-ctx.Done():
	}
	return false
}

// URL returns the server's URL, without a path.
func (r *Receiver) URL() string { return "http://" + r.listener.Addr().String() }

// Close stops the server.
func (r *Receiver) Close() error {
	err := r.server.Close()
	if served := <-r.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
