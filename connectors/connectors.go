// Package connectors says what a product wants to be told about a survey event.
//
// A connector is its own configuration: a struct whose fields are the settings and whose Build makes a
// request of an event. It does no I/O. The gateway sends, signs, retries, limits and records.
package connectors

import (
	"github.com/surveygate/surveygate/rules/event"
)

// Connector builds the request that tells one product of one event.
//
// Build is pure: the same event gives the same request. It reads no clock, no random source, no
// environment and no network, and changes neither the event nor the connector. A Skip error says that
// there is nothing here for this product, an Unusable error that no event can be sent with these credentials
// (`revoked`); any other error makes the delivery `rejected`.
type Connector interface {
	Build(ev *event.Event) (*Request, error)
}

// Judge is implemented where the status code is not the whole answer.
type Judge interface {
	Judge(res *Response) Verdict
}

// Keyer is implemented where an event changes a record that others change too: deliveries of one step and one key
// are made one after the other, in order. The empty key is nobody's.
type Keyer interface {
	// Key is the record, such as the e-mail address in the product's own spelling.
	Key(ev *event.Event) string
}

// Batcher is implemented where the product takes many events at once. No two of one key stand in one batch.
//
// Build is still asked, for an event alone. An error of BuildBatch is nobody's in particular: the gateway asks Build
// of each event whose it is, and BuildBatch again without those.
//
// A batch that was answered is not yet written: Judge holds the answer against res.Events with EachOf.
type Batcher interface {
	Keyer
	Batch() BatchLimit
	BuildBatch(events []*event.Event) (*Request, error)
}

// BatchLimit bounds a batch, in events and in bytes of the request's body; zero is no bound.
type BatchLimit struct {
	Events int
	Bytes  int
	// Silent says that the product's answer names only what it refused, or nothing at all, by its own documentation. Where
	// it is not set, every event of a batch must be named by the answer to be delivered: Judge gives Verdict.Each (EachOf).
	Silent bool
}

// RetryLimiter is implemented where a repeat may count twice at the product.
type RetryLimiter interface {
	// MaxRetries is how often a delivery is tried again at most, where its schedule allows more.
	MaxRetries() int
}

// Chained is implemented where an event takes more than one request, so that a rate counts them all.
type Chained interface {
	// MaxRequests are how many at most.
	MaxRequests() int
}

// ChainComparer is implemented beside Chained, so that two events can be compared by what they would tell the product.
type ChainComparer interface {
	// LaterContent is what the requests behind the first one tell of an event: of two events with one first request and one rest,
	// the product hears the same.
	LaterContent(ev *event.Event) ([]byte, error)
}

// Validator is implemented where two settings depend on each other. It runs after defaults, connection
// and step are laid over each other. An error made with Invalid names the setting.
type Validator interface {
	Validate() error
}

// Skipped is the error of a Build that has nothing to tell its product; it is no failure.
type Skipped struct{ Reason string }

func (s *Skipped) Error() string { return s.Reason }

// Skip says why there is nothing to send: `return nil, connectors.Skip("no e-mail")`.
func Skip(reason string) error { return &Skipped{Reason: reason} }

// UnusableError is the error of a Build that can make no request at all of the connection's credentials.
type UnusableError struct{ Reason string }

func (e *UnusableError) Error() string { return e.Reason }

// Unusable says why the credentials make no request: `return nil, connectors.Unusable("the key names no data centre")`.
// The connection pauses and its events wait until the credentials change. The reason holds nothing of them.
func Unusable(reason string) error { return &UnusableError{Reason: reason} }

// InvalidError is a fault of one setting, by its name in YAML.
type InvalidError struct {
	Setting string
	Reason  string
}

func (e *InvalidError) Error() string { return e.Setting + ": " + e.Reason }

// Invalid is for Validate: the setting at fault and what to do about it.
func Invalid(setting, reason string) error { return &InvalidError{Setting: setting, Reason: reason} }
