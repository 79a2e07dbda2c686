package view

import (
	"encoding/json"
	"fmt"
	"time"
)

// Time is a time as the API writes it: RFC 3339 in UTC with milliseconds, and an empty string for the zero time.
type Time struct{ time.Time }

// layout writes milliseconds also where they are 0, so that texts of times sort as the times do.
const layout = "2006-01-02T15:04:05.000Z07:00"

// String returns the time as MarshalJSON writes it.
func (t Time) String() string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(layout)
}

// MarshalJSON writes the time as a string.
func (t Time) MarshalJSON() ([]byte, error) { return []byte(`"` + t.String() + `"`), nil }

// UnmarshalJSON reads any RFC 3339 time; an empty string and null are the zero time.
func (t *Time) UnmarshalJSON(text []byte) error {
	var written *string
	if err := json.Unmarshal(text, &written); err != nil {
		return err
	}
	*t = Time{}
	if written == nil || *written == "" {
		return nil
	}
	at, err := time.Parse(time.RFC3339, *written)
	if err != nil {
		return fmt.Errorf("read a time: %w", err)
	}
	t.Time = at
	return nil
}
