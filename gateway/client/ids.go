package client

import "github.com/surveygate/surveygate/gateway/internal/state"

// IsDeliveryID reports whether an id names a delivery rather than an event.
func IsDeliveryID(id string) bool { return state.IsDeliveryID(id) }

// EventID is the id of the event that an id leads to: a delivery's, or the event's own.
func EventID(id string) string { return state.EventID(id) }
