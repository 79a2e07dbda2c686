package state

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/rules/event"
)

// A delivery's id is dl_<event id>_<suffix>, so that it leads to its event without an index. It is the webhook-id and the
// idempotency key of its requests, and engines keep the suffix alone beside the event: its form must not change.

const (
	deliveryIDPrefix = "dl_"
	suffixSize       = 13 // characters of base32: 65 bits
)

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// DeliveryID is the id of what an event owes to one step of a rule or webhook. Its suffix is made of the rule or webhook,
// the step and the event's revision, so that deciding again gives the same id. A revision's deliveries have ids of their
// own: a receiver that swallows what it has seen must not swallow the corrected event.
func DeliveryID(ev *event.Event, origin Origin, step string) string {
	var text [256]byte
	key := append(text[:0], origin.Kind...)
	key = append(key, 0)
	key = append(key, origin.Name...)
	key = append(key, 0)
	key = append(key, step...)
	if ev.Revision > 0 {
		key = strconv.AppendInt(append(key, 0), int64(ev.Revision), 10)
	}
	sum := sha256.Sum256(key)
	var code [16]byte
	base32Lower.Encode(code[:], sum[:10])
	return deliveryIDPrefix + ev.ID + "_" + string(code[:suffixSize])
}

// FreshDeliveryID is a delivery id of an event that was never used before.
func FreshDeliveryID(eventID string) string {
	var random [10]byte
	_, _ = rand.Read(random[:]) // it cannot fail
	return JoinDeliveryID(eventID, base32Lower.EncodeToString(random[:])[:suffixSize])
}

// JoinDeliveryID makes a delivery's id of its event's and its suffix. SplitDeliveryID is its inverse.
func JoinDeliveryID(eventID, suffix string) string { return deliveryIDPrefix + eventID + "_" + suffix }

// SplitDeliveryID splits a delivery's id into its event's id and its suffix. False: it is not the id of a delivery.
func SplitDeliveryID(id string) (eventID, suffix string, ok bool) {
	rest, ok := strings.CutPrefix(id, deliveryIDPrefix)
	i := strings.LastIndexByte(rest, '_')
	if !ok || i <= 0 || i == len(rest)-1 || strings.IndexByte(rest, 0) >= 0 {
		return "", "", false
	}
	return rest[:i], rest[i+1:], true
}

// IsDeliveryID reports whether an id names a delivery rather than an event. The prefix decides, so that a delivery's id
// that was cut short is reported as a missing delivery.
func IsDeliveryID(id string) bool { return strings.HasPrefix(id, deliveryIDPrefix) }

// EventID is the id of the event that an id leads to: a delivery's, also where its end was cut off, or the event's own.
func EventID(id string) string {
	rest, ok := strings.CutPrefix(id, deliveryIDPrefix)
	if i := strings.LastIndexByte(rest, '_'); ok && i > 0 {
		return rest[:i]
	}
	return rest
}

// DeliverySuffix is the suffix of a delivery's id, which has to lead to the event; an empty eventID allows every event.
func DeliverySuffix(id, eventID string) (string, error) {
	owner, suffix, ok := SplitDeliveryID(id)
	if !ok || eventID != "" && owner != eventID {
		return "", fmt.Errorf("%w: delivery id %q does not lead to event %q", ErrInvalid, id, eventID)
	}
	return suffix, nil
}
