package connectors

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/surveygate/surveygate/rules/event"
)

// RecordID returns an id for the record that a product makes of an event, for products that ignore a record whose id they know. It
// has 36 hexadecimal digits, is the same in every attempt, and differs between events and between the names of the records.
// It does not depend on what the event says, so that an event that was read once more does not become a second record.
func RecordID(ev *event.Event, name string) string {
	sum := sha256.Sum256([]byte(ev.Tenant + "\x00" + ev.ID + "\x00" + name))
	return hex.EncodeToString(sum[:18])
}
