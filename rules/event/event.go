// Package event is the survey event: who sent it, what it says, and the exact bytes it came from.
//
// An Event is immutable once made. It is a Header that is always at hand, and Data that is decoded
// from JSON at first use, so that a delivery of the raw bytes never pays for it.
package event

import (
	"encoding/json"
	"sync"
	"time"
)

// Header is what is known of an event without looking inside it.
type Header struct {
	// ID is a hash of tenant, source, dedupe key and who proves the event: see ID and IDs.
	ID string
	// Tenant owns the event; "default" where nobody says otherwise.
	Tenant string
	// Source is the name of the source it came through; "api" for our own API.
	Source string
	// SourceKind is the profile's name (pollqr), or "api".
	SourceKind string
	// Type is the canonical type.
	Type string
	// SurveyID and ResponseID are the platform's ids as text; empty where it sent none.
	SurveyID   string
	ResponseID string
	// Time is when it happened at the platform, UTC, else Received.
	Time time.Time
	// Received is when the gateway took it in, UTC.
	Received time.Time
	// OrigType and OrigID are the platform's own event name and id, unchanged.
	OrigType string
	OrigID   string
	// DedupeKey is the readable key that ID is made from.
	DedupeKey string
	// Verified says how the source proved the request (hmac, token, basic, path), that a token of our API vouches for
	// it instead (VerifiedAPI), or none. For our API's own source the token is that proof.
	Verified string
	// Revision counts how often the raw bytes were read again since the event was taken in: 0 is as it came. All revisions
	// have one ID.
	Revision int
}

// Raw is the exact bytes an event came from.
type Raw struct {
	ContentType string
	// Body is never changed; it is empty when the bytes were not loaded.
	Body []byte
	// SHA256 is the lower-case hex hash of the original bytes, also where Redacted.
	SHA256 string
	// Redacted says that token fields inside Body were masked.
	Redacted bool
	// AnswersAt and LeadsAt are the profile's paths (gjson) of answers and leads inside Body,
	// which is what a webhook cuts when it is told not to send them.
	AnswersAt []string
	LeadsAt   []string
}

// Event is one survey event. It is safe for concurrent use.
type Event struct {
	Header
	Raw Raw

	envelope []byte // CloudEvents JSON without raw.body
	// Places in envelope: `data`, and the closing brace of data.raw (0: it has none).
	dataAt, dataEnd, rawEnd int

	once sync.Once
	data *Data

	of     *Event // whose content this has, of one made by Within
	budget *Budget
}

// Data is the event's content. Zero values are absent fields. Callers must not change it.
type Data struct {
	Account    Account    `json:"account,omitzero"`
	Survey     Survey     `json:"survey,omitzero"`
	Response   Response   `json:"response,omitzero"`
	Respondent Respondent `json:"respondent,omitzero"`
	Context    Context    `json:"context,omitzero"`
	Warnings   []string   `json:"warnings,omitempty"`
	// Unread are places of the body with a value that neither the event holds nor the profile says it leaves out; # stands
	// for every element of a list.
	Unread []string `json:"unread,omitempty"`
}

// Account is the workspace, department or business at the platform.
type Account struct {
	ID string `json:"id,omitempty"`
}

// Survey is the questionnaire.
type Survey struct {
	ID      string `json:"id,omitempty"`
	Title   string `json:"title,omitempty"`
	Type    string `json:"type,omitempty"`
	Version string `json:"version,omitempty"`
}

// Response is one respondent's submission. Times are RFC 3339 UTC text.
type Response struct {
	ID          string            `json:"id,omitempty"`
	Completed   *bool             `json:"completed,omitempty"`
	StartedAt   string            `json:"started_at,omitempty"`
	CompletedAt string            `json:"completed_at,omitempty"`
	UpdatedAt   string            `json:"updated_at,omitempty"`
	DurationS   *float64          `json:"duration_s,omitempty"`
	Permalink   string            `json:"permalink,omitempty"`
	ReviewState string            `json:"review_state,omitempty"`
	Score       Score             `json:"score,omitzero"`
	Feedback    string            `json:"feedback,omitempty"`
	Answers     []Answer          `json:"answers,omitempty"`
	Result      json.RawMessage   `json:"result,omitempty"` // an object
	Leads       []json.RawMessage `json:"leads,omitempty"`  // objects
}

// Score holds what was measured; nil where it was not.
type Score struct {
	NPS    *float64 `json:"nps,omitempty"` // 0 to 10
	CSAT   *float64 `json:"csat,omitempty"`
	CES    *float64 `json:"ces,omitempty"`
	Custom *float64 `json:"custom,omitempty"`
}

// Answer is one answer, in the order delivered. Value is JSON: a scalar, an array or an object,
// numbers with the platform's own digits.
type Answer struct {
	QuestionID string          `json:"question_id"`
	Question   string          `json:"question,omitempty"`
	Type       string          `json:"type,omitempty"`
	Value      json.RawMessage `json:"value"`
	ValueIDs   json.RawMessage `json:"value_ids,omitempty"`
	Comment    string          `json:"comment,omitempty"`
}

// Respondent is the person who answered.
type Respondent struct {
	ID         string          `json:"id,omitempty"`
	ExternalID string          `json:"external_id,omitempty"`
	Email      string          `json:"email,omitempty"`
	Name       string          `json:"name,omitempty"`
	FirstName  string          `json:"first_name,omitempty"`
	LastName   string          `json:"last_name,omitempty"`
	Phone      string          `json:"phone,omitempty"`
	Verified   *bool           `json:"verified,omitempty"`
	Consent    *bool           `json:"consent,omitempty"`
	Params     json.RawMessage `json:"params,omitempty"` // an object
}

// Context is where and how it was answered.
type Context struct {
	IP          string `json:"ip,omitempty"`
	UserAgent   string `json:"user_agent,omitempty"`
	PageURL     string `json:"page_url,omitempty"`
	Channel     string `json:"channel,omitempty"`
	Language    string `json:"language,omitempty"`
	Country     string `json:"country,omitempty"`
	CollectorID string `json:"collector_id,omitempty"`
}
