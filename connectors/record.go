package connectors

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"strings"

	"github.com/surveygate/surveygate/rules/event"
)

// RecordID returns an id for the record that a product makes of an event, for products that ignore a record whose id they know. It
// has 36 hexadecimal digits, is the same in every attempt, and differs between events and between the names of the records.
// It does not depend on what the event says, so that an event that was read once more does not become a second record.
func RecordID(ev *event.Event, name string) string {
	sum := sha256.Sum256([]byte(ev.Tenant + "\x00" + ev.ID + "\x00" + name))
	return hex.EncodeToString(sum[:18])
}

var letters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ResponseCode identifies the event's response, or an event without one, among all that several tenants may write to one account:
// 100 bits of a hash as 20 letters and digits, which searches treat as one word. more distinguishes several records of one
// response.
func ResponseCode(ev *event.Event, more ...string) string {
	kind, id := "response", ev.ResponseKey()
	if id == "" {
		kind, id = "event", ev.ID
	}
	parts := append([]string{kind, ev.Tenant, id}, more...)
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return letters.EncodeToString(sum[:])[:20]
}
