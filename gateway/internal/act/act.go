// Package act does what a person asks for by hand: it retries, replays and drops deliveries and events, pauses and resumes
// destinations, and sends test deliveries. It does no HTTP: the API and all other callers use the same functions.
package act

import (
	"context"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/vault"
	"github.com/surveygate/surveygate/rules/event"
)

// Options are the dependencies of an Actor; all are required.
type Options struct {
	Store state.Store
	// Plan returns the running configuration.
	Plan  func() *decide.Plan
	Clock clock.Clock
	// Accept makes events of size bytes durable and returns for each whether it was new. Its errors are returned unchanged.
	Accept func(events []*event.Event, size int, started time.Time) ([]state.Appended, error)
	// Due tells the delivery loop of this process that deliveries have become due; without it they wait for its next look.
	Due func()
	// Vault seals refresh tokens.
	Vault *vault.Vault
	// HoldsChanged tells the delivery loop of this process that a hold was put on or lifted.
	HoldsChanged func(ctx context.Context)
	// Ended counts a delivery that a person ended.
	Ended func(d *state.Delivery)
}

// Actor acts for a person. Make it with New; it is safe for concurrent use. Every function takes the tenant whose delivery,
// event or destination it is, and reaches no other tenant's.
//
// Beside the errors of its own, which are *ConflictError, *InvalidError and ErrNoDelivery, it returns those of the store.
type Actor struct{ options Options }

// New returns an Actor.
func New(o Options) *Actor { return &Actor{o} }

// ConflictError says why something cannot be done in the present state.
type ConflictError struct{ Reason string }

func (e *ConflictError) Error() string { return e.Reason }

// InvalidError says what is wrong with a parameter.
type InvalidError struct{ Parameter, Problem string }

func (e *InvalidError) Error() string { return e.Parameter + ": " + e.Problem }

func conflict(reason string) error { return &ConflictError{reason} }
