package view

import (
	"encoding/base64"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/source"
)

// Request is a request as it is kept: without secrets.
type Request struct {
	At        time.Time `json:"at"`
	Status    int       `json:"status"`
	RequestID string    `json:"request_id"`
	Method    string    `json:"method"`
	Path      string    `json:"path"`
	// Remote is the sender's address; absent on the control socket.
	Remote  string      `json:"remote,omitempty"`
	Headers [][2]string `json:"headers"`
	// Size and SHA256 are of the body as it came.
	Size   int    `json:"size"`
	SHA256 string `json:"sha256,omitempty"`
	Body   string `json:"body,omitempty"`
	// Encoding is base64 where the body is not UTF-8.
	Encoding string `json:"encoding,omitempty"`
	// Truncated says that Body is only the beginning.
	Truncated bool `json:"truncated,omitempty"`
}

// Bytes returns the body.
func (r *Request) Bytes() ([]byte, error) {
	if r.Encoding == "base64" {
		return base64.StdEncoding.DecodeString(r.Body)
	}
	return []byte(r.Body), nil
}

// When returns the time of the request.
func (r Request) When() time.Time { return r.At }

// Rejected is a refused request as it is kept: without secrets.
type Rejected struct {
	Request
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"`
	// Proved says that the platform sent it. Of requests that were not proved, Checks are the source's checks with their
	// results, and what a signature would have been made of.
	Proved bool           `json:"proved"`
	Checks []source.Check `json:"checks,omitempty"`
}

// RejectedPage are the requests that a source refused, newest first.
type RejectedPage struct {
	Page[Rejected]
	// NotKept counts those that are not in the list; absent where all are.
	NotKept *NotKept `json:"not_kept,omitempty"`
}

// NotKept counts a source's refused requests that were counted and not kept, because too many came at once, by this replica
// since it started.
type NotKept struct {
	Proved   int `json:"proved"`
	Unproved int `json:"unproved"`
	// Since is when the first of them came.
	Since time.Time `json:"since"`
}

// Captured is a request of any method that a source with `capture` got, accepted or not. Its body is exact, but for secrets:
// the source's own, those that the request brought, and what stands where `verify` looks. In the body of an unknown platform
// a secret cannot be told by its name.
type Captured struct {
	Request
	// Proved says that the source's checks passed, where it has any.
	Proved bool `json:"proved"`
	// Redacted says that a secret of the source was in the body and was taken out, so no signature fits it.
	Redacted bool `json:"redacted,omitempty"`
}

// CapturedPage are the requests that a source captured, newest first.
type CapturedPage struct {
	Page[Captured]
	// CaptureUntil is until when it captures; absent where it does not.
	CaptureUntil Time `json:"capture_until,omitzero"`
}
