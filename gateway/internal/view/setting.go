package view

import (
	"encoding/json"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/settings"
)

// Setting is what all settings have in common: webhooks, connections, sources and rules, of files and of documents.
type Setting struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Tenant string `json:"tenant"`
	// Version is the document's, and its ETag; absent for what a file defines.
	Version uint64 `json:"version,omitempty"`
	// Provenance is how it came here: file, api, import or compat.
	Provenance string `json:"provenance"`
	// At is the place in the file; absent for a document.
	At *FilePlace `json:"defined_in,omitempty"`
	// Owner is whose it is among those that import; empty for nobody's.
	Owner string `json:"owner"`
	// Locked: only its owner may change it.
	Locked bool `json:"locked,omitempty"`
	// State is active, disabled, broken (it does not compile; Problems says why), shadowed (a file has the name, and is used), or pending
	// (it is stored, and this replica does not use this version yet).
	State string `json:"state"`
	// Problems are why a document is broken or shadowed, Warnings what is allowed and probably not meant.
	Problems []SettingProblem `json:"problems"`
	Warnings []SettingProblem `json:"warnings,omitempty"`
	Created  *Written         `json:"created,omitempty"`
	Updated  *Written         `json:"updated,omitempty"`
	// Spec is the document as a file would hold it, with masks in place of secrets. What a file defines is as it is written there, with
	// ${NAME} in place of secrets: its own variables, and one that is made up for a secret that stands in the file. To the session of a
	// portal link it has the settings that are also fields of the answer.
	Spec json.RawMessage `json:"spec,omitempty"`
	// Standing is there for destinations, where it was asked for.
	Standing *Standing `json:"standing,omitempty"`
	// Shadowed is the document of the same name that is not used because a file has the name.
	Shadowed *Setting `json:"shadowed,omitempty"`
	// Secret is the one that was made for a new webhook; it is shown once.
	Secret string `json:"secret,omitempty"`
	// Would is what the change would do: create, update or nothing. It is there with `dry_run=true`.
	Would string `json:"would,omitempty"`
}

// Common returns what all settings have in common.
func (s *Setting) Common() *Setting { return s }

// WebhookSecret is a secret that a webhook signs with. An entry of spec.secrets has the same form without Secret.
type WebhookSecret struct {
	// ID names it; empty with `dry_run=true`, for a secret that is not made.
	ID string `json:"id"`
	// Hint is its beginning and its end; empty with `dry_run=true`, as ID.
	Hint  string `json:"hint"`
	Since Time   `json:"since"`
	// Until is when it ends; absent where it does not end by itself.
	Until Time `json:"until,omitzero"`
	// Secret is its value, which is there in the answer to its making alone.
	Secret string `json:"secret,omitempty"`
	// Would is `create` in the answer to its making with `dry_run=true`.
	Would string `json:"would,omitempty"`
}

// NewWebhookSecret asks for another secret.
type NewWebhookSecret struct {
	// Overlap is how long the former secret still counts, such as 24h, which is the default; at most 720h.
	Overlap string `json:"overlap,omitempty"`
}

// Deleted is the answer to the deletion of a document.
type Deleted struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	// Waiting counts the deliveries that waited for it, which become dead letters.
	Waiting int `json:"waiting"`
	// Pending: it is deleted, and this replica still uses it for a moment.
	Pending bool `json:"pending,omitempty"`
	// Would is `delete` with `dry_run=true`.
	Would string `json:"would,omitempty"`
}

// Written is when and by whom a document was written.
type Written struct {
	At Time   `json:"at"`
	By string `json:"by,omitempty"`
}

// newWritten returns nil if the document does not say when it was written.
func newWritten(at time.Time, by string) *Written {
	if at.IsZero() {
		return nil
	}
	return &Written{Time{at}, by}
}

// SettingProblem is one fault of a document, or one warning about it.
type SettingProblem struct {
	Msg string `json:"msg"`
	// Loc leads to the value in spec; empty for the whole document.
	Loc []string `json:"loc,omitempty"`
	// Remedy is what to do.
	Remedy string `json:"remedy,omitempty"`
	// Code names the kind of a warning, such as SG1101; faults have none.
	Code string `json:"code,omitempty"`
}

const (
	// ofFiles is the provenance of what a file defines.
	ofFiles = "file"
	// pending is the state of a document that is not in use yet.
	pending = "pending"
)

// ofFile makes the view of what an item of the configuration has in common with others.
func ofFile(kind string, item config.Item, enabled bool) Setting {
	v := Setting{
		Name: item.Name, Kind: kind, Tenant: item.Tenant, Provenance: ofFiles, At: newFilePlace(item.At),
		State: string(config.Active), Problems: []SettingProblem{},
	}
	if !enabled {
		v.State = string(config.Disabled)
	}
	if item.Spec != "" {
		v.Spec = json.RawMessage(item.Spec)
	}
	return v
}

// NewSetting makes the view of a document.
func NewSetting(tenant string, e *settings.Entry) Setting {
	state := string(e.State)
	if e.Pending && (e.State == config.Active || e.State == config.Disabled) {
		state = pending
	}
	return Setting{
		Name: settings.Title(e.Name), Kind: settings.Kind(e.Name), Tenant: tenant, Version: e.Version,
		Provenance: e.Meta.Provenance, Owner: e.Meta.Owner, Locked: e.Meta.Lock,
		State: state, Problems: newSettingProblems(e.Faults), Warnings: NewSettingProblems(e.Warnings),
		Created: newWritten(e.Meta.Created, e.Meta.CreatedBy), Updated: newWritten(e.Meta.Updated, e.Meta.UpdatedBy),
		Spec: e.Spec,
	}
}

// NewSettingProblems returns the view of faults or warnings; nil if there are none.
func NewSettingProblems(faults document.Faults) []SettingProblem {
	if len(faults) == 0 {
		return nil
	}
	return newSettingProblems(faults)
}

func newSettingProblems(faults document.Faults) []SettingProblem {
	all := make([]SettingProblem, len(faults))
	for i, f := range faults {
		all[i] = SettingProblem{Msg: f.Message, Loc: LocOf(f), Remedy: f.Remedy, Code: f.Code}
	}
	return all
}
