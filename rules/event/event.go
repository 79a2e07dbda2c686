// Package event defines the survey event: who sent it, what it contains, and the original bytes.
//
// An Event is immutable. It has a Header, which is always decoded, and Data, which is decoded from JSON at first use, so that a
// delivery of the raw bytes does not pay for it. Make an event with New, from a published body with ParseOne and the other Parse
// functions, or from its stored form with Decode.
package event

import (
	"encoding/json"
	"sync"
	"time"
)

// Header holds the attributes of an event, which are known without decoding its data.
type Header struct {
	// ID is a hash of the tenant, the source, the dedupe key and the kind of proof: see ID and IDs.
	ID string
	// Tenant is the owner of the event; DefaultTenant without one.
	Tenant string
	// Source is the name of the source that received it; "api" for the gateway's own API.
	Source string
	// SourceKind is the name of the source's profile (such as pollqr), or "api".
	SourceKind string
	// Type is the canonical type.
	Type string
	// SurveyID and ResponseID are the platform's ids as text; empty if it sent none.
	SurveyID   string
	ResponseID string
	// Time is the time at which the event happened at the platform, in UTC; Received if the platform sent none.
	Time time.Time
	// Received is the time at which the gateway received the event, in UTC.
	Received time.Time
	// OrigType and OrigID are the platform's own event name and id, unchanged.
	OrigType string
	OrigID   string
	// DedupeKey is the readable key that ID is made from.
	DedupeKey string
	// Verified is the proof of the request: hmac, token, basic or path if the source proved it; VerifiedAPI if a token of the
	// gateway's API vouches for it instead; or none. For the API's own source, the token is the source's proof.
	Verified string
	// Revision is the number of times that the raw bytes were normalised again since the event was received; 0 at receipt. All
	// revisions have the same ID.
	Revision int
	// Erased is the time at which the content was erased (Erase); zero: it was not.
	Erased time.Time
}

// Raw holds the original bytes of an event.
type Raw struct {
	ContentType string
	// Body is never changed. It is empty if the bytes were not loaded.
	Body []byte
	// SHA256 is the lower-case hex hash of the original bytes, also if Body is redacted.
	SHA256 string
	// Redacted is set if token fields inside Body were masked.
	Redacted bool
	// AnswersAt and LeadsAt are the paths (package jsonpath) of answers and leads inside Body, from the source's profile. A
	// webhook that must not send them removes these paths.
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

	original *Event // the event that WithBudget was called on, whose data is shared
	budget   *Budget
}

// Data is the event's content. A zero value is an absent field. Callers must not change it.
type Data struct {
	Account    Account    `json:"account,omitzero"`
	Survey     Survey     `json:"survey,omitzero"`
	Response   Response   `json:"response,omitzero"`
	Respondent Respondent `json:"respondent,omitzero"`
	Context    Context    `json:"context,omitzero"`
	// Notice is what the gateway says of itself, in events of NoticeTypes; no source fills it.
	Notice Notice `json:"notice,omitzero"`
	// Warnings are messages about values of the body that could not be used.
	Warnings []string `json:"warnings,omitempty"`
	// Unread are the paths of body values that the event does not contain and the source's profile does not ignore explicitly; #
	// stands for every element of a list.
	Unread []string `json:"unread,omitempty"`
}

// Account is the workspace, department or company at the platform.
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

// Response is one respondent's submission. Times are text in RFC 3339, UTC. DurationS is in seconds.
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
	// Cleared are the ids of questions that were answered with nothing, and the paths of fields that such an answer would have
	// filled. In the response as a whole they take away what an earlier event of it had.
	Cleared []string `json:"cleared,omitempty"`

	// What follows is known of a response as a whole (package response), and never of one event. Status is started, partial,
	// completed, disqualified, overquota or deleted; Version begins with 1 and counts the submission and each change of it; Events
	// counts its events; FirstAt and LastAt are when the first and the last of them were received, as times are written above.
	Status  string   `json:"status,omitempty"`
	Version *float64 `json:"version,omitempty"`
	Events  *float64 `json:"events,omitempty"`
	FirstAt string   `json:"first_at,omitempty"`
	LastAt  string   `json:"last_at,omitempty"`
}

// Score holds the scores; nil for one that is absent. CSAT and CES are in the survey's own scale.
type Score struct {
	NPS    *float64 `json:"nps,omitempty"` // 0 to 10
	CSAT   *float64 `json:"csat,omitempty"`
	CES    *float64 `json:"ces,omitempty"`
	Custom *float64 `json:"custom,omitempty"`
}

// Answer is one answer, in the platform's order. Value is JSON: a scalar, an array or an object. Numbers keep the platform's
// digits.
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

// Context describes where and how the respondent answered.
type Context struct {
	IP          string `json:"ip,omitempty"`
	UserAgent   string `json:"user_agent,omitempty"`
	PageURL     string `json:"page_url,omitempty"`
	Channel     string `json:"channel,omitempty"`
	Language    string `json:"language,omitempty"`
	Country     string `json:"country,omitempty"`
	CollectorID string `json:"collector_id,omitempty"`
}
