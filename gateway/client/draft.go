package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// Draft is a text with settings, in YAML or JSON, before it is sent. It knows its lines, so that what the API refuses can be shown in
// them.
type Draft struct{ node *document.Node }

// Lookup resolves ${NAME} and ${file:/path} in a draft.
type Lookup = document.Lookup

// ReadDraft reads a text. file is its name in faults. Each ${NAME} is replaced; one that is not set is a fault. The error has all faults,
// each with its place and its line.
func ReadDraft(file string, text []byte, lookup Lookup) (*Draft, error) {
	d, unset, err := readDraft(file, text, lookup)
	if err != nil {
		return nil, err
	}
	var faults document.Faults
	for _, u := range unset {
		u.Fault.Message = fmt.Sprintf("`%s` is not set in the environment", u.Name)
		u.Fault.Remedy = "set it, or write $${ for a literal ${"
		faults = append(faults, u.Fault)
	}
	if len(faults) > 0 {
		return nil, d.node.Guarded(faults)
	}
	return d, nil
}

// ReadOpenDraft is ReadDraft for a text that is only tried, with Variables: each ${NAME} that is not set stays as it is. unset are their
// names.
func ReadOpenDraft(file string, text []byte, lookup Lookup) (d *Draft, unset []string, err error) {
	d, all, err := readDraft(file, text, lookup)
	for _, u := range all {
		unset = append(unset, u.Name)
	}
	return d, unset, err
}

func readDraft(file string, text []byte, lookup Lookup) (*Draft, []document.Unset, error) {
	parse := document.Parse
	if json.Valid(text) {
		parse = document.ParseStored // reads JSON as JSON
	}
	node, faults := parse(file, text)
	if len(faults) > 0 {
		return nil, nil, faults
	}
	if node.Kind != document.Mapping {
		return nil, nil, node.Guarded(document.Faults{node.Fault("this must be a mapping, and is "+node.Kind.String(), "write settings as key: value")})
	}
	unset, faults := node.Expand(lookup)
	if len(faults) > 0 {
		return nil, nil, node.Guarded(faults)
	}
	return &Draft{node}, unset, nil
}

// JSON returns the settings as the API takes them.
func (d *Draft) JSON() []byte { return d.node.Escaped().JSON() }

// Plain returns the settings as JSON, for what is no document: `${` means nothing there.
func (d *Draft) Plain() []byte { return d.node.JSON() }

// Located returns an error of the API as faults in the lines of the draft, as far as it is about what was sent. Any other error stays as
// it is.
func (d *Draft) Located(err error) error {
	refused, ok := errors.AsType[*APIError](err)
	if !ok {
		return err
	}
	inBody := refused.Status == http.StatusUnprocessableEntity
	for _, detail := range refused.Detail {
		inBody = inBody || len(detail.Loc) > 0 && detail.Type != view.PlanRestriction && d.node.Key(detail.Loc[0]) != nil
	}
	if !inBody || len(refused.Detail) == 0 {
		return err
	}
	faults := make(document.Faults, len(refused.Detail))
	for i, detail := range refused.Detail {
		faults[i] = d.fault(detail)
	}
	return &LocatedError{faults, refused}
}

// LocatedError is an error of the API, shown in the lines of a draft.
type LocatedError struct {
	faults  document.Faults
	refused *APIError
}

// Error shows each fault with its place, its line, and what to do.
func (e *LocatedError) Error() string { return e.faults.Error() }

// Unwrap returns the error of the API.
func (e *LocatedError) Unwrap() error { return e.refused }

func (d *Draft) fault(detail view.Detail) document.Fault {
	message, remedy, _ := strings.Cut(detail.Msg, "; ")
	if len(detail.Loc) == 0 {
		return document.At(d.node.At.File, message, remedy)
	}
	return d.node.FaultOf(detail.Loc, detail.At, message, remedy)
}

// YAML returns settings in JSON as YAML.
func YAML(text []byte) (string, error) {
	node, faults := document.ParseStored("", text)
	if len(faults) > 0 {
		return "", faults
	}
	return node.YAML(0), nil
}
