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

// The id of a delivery is dl_<event id>_<suffix>, so that it leads to its event without an index. It is the webhook-id and
// the idempotency key of its requests, and engines store only the suffix, next to the event. Its form must not change.

const (
	deliveryIDPrefix = "dl_"
	suffixSize       = 13 // characters of base32: 65 bits
)

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// DeliveryID returns the id of the delivery of an event to one step of a rule or webhook. Its suffix is a hash of the rule or
// webhook, the step and the revision of the event, so that deciding again gives the same id. Deliveries of a revision have
// ids of their own: a receiver that drops ids it has seen must not drop the corrected event.
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

// FreshDeliveryID returns a new delivery id for an event, with a random suffix.
func FreshDeliveryID(eventID string) string {
	var random [10]byte
	_, _ = rand.Read(random[:]) // it cannot fail
	return JoinDeliveryID(eventID, base32Lower.EncodeToString(random[:])[:suffixSize])
}

// CopyDeliveryID returns the id of a copy of a delivery, such as a replay makes: another one for each key, and always the same one. It is
// empty if id is no id of a delivery.
func CopyDeliveryID(id, key string) string {
	eventID, suffix, ok := SplitDeliveryID(id)
	if !ok {
		return ""
	}
	sum := sha256.Sum256([]byte(key + "\x00" + suffix))
	return JoinDeliveryID(eventID, base32Lower.EncodeToString(sum[:10])[:suffixSize])
}

// JoinDeliveryID makes the id of a delivery from the id of its event and its suffix. SplitDeliveryID is its inverse.
func JoinDeliveryID(eventID, suffix string) string { return deliveryIDPrefix + eventID + "_" + suffix }

// SplitDeliveryID splits the id of a delivery into the id of its event and its suffix. False: it is not the id of a delivery.
func SplitDeliveryID(id string) (eventID, suffix string, ok bool) {
	rest, ok := strings.CutPrefix(id, deliveryIDPrefix)
	i := strings.LastIndexByte(rest, '_')
	if !ok || i <= 0 || i == len(rest)-1 || strings.IndexByte(rest, 0) >= 0 {
		return "", "", false
	}
	return rest[:i], rest[i+1:], true
}

// IsDeliveryID reports whether an id names a delivery rather than an event. The prefix alone decides, so that a truncated id
// is reported as a missing delivery.
func IsDeliveryID(id string) bool { return strings.HasPrefix(id, deliveryIDPrefix) }

// EventID returns the id of the event: a delivery id, also a truncated one, is reduced to its event.
func EventID(id string) string {
	rest, ok := strings.CutPrefix(id, deliveryIDPrefix)
	if i := strings.LastIndexByte(rest, '_'); ok && i > 0 {
		return rest[:i]
	}
	return rest
}

// DeliverySuffix returns the suffix of a delivery id that has to lead to an event; an empty eventID allows every event.
func DeliverySuffix(id, eventID string) (string, error) {
	owner, suffix, ok := SplitDeliveryID(id)
	if !ok || eventID != "" && owner != eventID {
		return "", fmt.Errorf("%w: delivery id %q does not lead to event %q", ErrInvalid, id, eventID)
	}
	return suffix, nil
}
