package view

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/document"
)

// ProblemType is the kind of a problem, a closed set.
type ProblemType string

// The types of problems.
const (
	Validation      ProblemType = "validation_error"
	Authentication  ProblemType = "authentication_error"
	Permission      ProblemType = "permission_error"
	NotFound        ProblemType = "not_found"
	Conflict        ProblemType = "conflict"
	DefinedInFile   ProblemType = "defined_in_file"
	ManagedBy       ProblemType = "managed_by"
	PlanRestriction ProblemType = "plan_restriction"
	DeliveryFailed  ProblemType = "delivery_failed"
	RateLimited     ProblemType = "rate_limited"
	TooLarge        ProblemType = "too_large"
	Unavailable     ProblemType = "unavailable"
	Internal        ProblemType = "internal"
)

// Problem is the body of every answer of 400 and more. A client returns it as an error.
type Problem struct {
	Status    int      `json:"status"`
	Detail    []Detail `json:"detail"`
	RequestID string   `json:"request_id"`
	// After is how long the answer's Retry-After asks to wait; 0: it asks for nothing. A client reads it from the header.
	After time.Duration `json:"-"`
}

// Detail is one fault. Loc leads to it: the name of a parameter, or a path into the body.
type Detail struct {
	Msg  string      `json:"msg"`
	Type ProblemType `json:"type"`
	Loc  []string    `json:"loc,omitempty"`
	// At is the part of the text at Loc that is at fault: the offsets of its beginning and its end, in bytes.
	At []int `json:"at,omitempty"`
	// Line and Column are the place in a body that is a file's text, from 1.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
}

// LocOf returns the path to the value of a document that has a fault.
func LocOf(f document.Fault) []string {
	var loc []string
	for _, step := range f.Loc {
		loc = append(loc, fmt.Sprint(step))
	}
	return loc
}

// Error joins the messages, each with the parameter that it is about where its message does not name it.
func (p *Problem) Error() string {
	var parts []string
	for _, d := range p.Detail {
		if len(d.Loc) == 1 && d.Type == Validation && !strings.Contains(d.Msg, "`"+d.Loc[0]+"`") {
			d.Msg = d.Loc[0] + ": " + d.Msg
		}
		parts = append(parts, d.Msg)
	}
	if len(parts) == 0 {
		parts = append(parts, http.StatusText(p.Status))
	}
	return fmt.Sprintf("%s (%d)", strings.Join(parts, "; "), p.Status)
}
