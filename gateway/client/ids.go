package client

import "github.com/surveygate/surveygate/gateway/internal/state"

// IsDeliveryID reports whether an id names a delivery rather than an event.
func IsDeliveryID(id string) bool { return state.IsDeliveryID(id) }

// EventID returns the id of the event: a delivery id is reduced to its event, and the id of an event is returned unchanged.
func EventID(id string) string { return state.EventID(id) }
