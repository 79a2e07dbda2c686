package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/explain"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// The body and the answer of POST /v1/try.
type (
	// Trial asks what a draft of documents, or what runs, would do with events.
	Trial = view.Trial
	// TrialEvents selects the events of a Trial.
	TrialEvents = view.TrialEvents
	// TrialDraft is documents by kind and name.
	TrialDraft = view.Draft
	// Tried is the answer to a Trial.
	Tried = view.Tried
	// ReasonCount is how often a reason was given.
	ReasonCount = view.ReasonCount
)

// Try asks what documents would do with events. Nothing is sent or kept.
func (c *Client) Try(ctx context.Context, t Trial) (*Tried, error) {
	body, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	tried := &Tried{}
	return tried, c.Do(ctx, Call{Method: http.MethodPost, Path: "/v1/try", Body: body, ContentType: "application/json", Into: tried})
}

// Explained returns the explanations of a trial, whose text can be printed.
func Explained(t *Tried) []*Explanation {
	all := make([]*Explanation, len(t.Explain))
	for i := range t.Explain {
		all[i] = &explain.Explanation{Explanation: t.Explain[i]}
	}
	return all
}

// draftKinds are the kinds of documents that a trial can have, as files name them.
var draftKinds = []string{"sources", "connections", "webhooks", "rules"}

// Trial returns the documents of a text in the form of a configuration file: each kind is a mapping by name, or a list of documents
// with a `name`. null in a mapping deletes a document. The error has all faults with their places.
func (d *Draft) Trial() (*TrialDraft, error) {
	if first := d.node.Pairs; len(first) > 0 && !slices.ContainsFunc(first, func(p document.Pair) bool { return slices.Contains(draftKinds, p.Key.Text) }) {
		fault := first[0].Key.Fault("`"+first[0].Key.Text+"` is not a kind of settings", "write "+strings.Join(draftKinds, ", ")+" as in a configuration, or say what this is: --as rule/NAME")
		return nil, d.node.Guarded(document.Faults{fault})
	}
	var faults document.Faults
	all := map[string]map[string]json.RawMessage{}
	for _, p := range d.node.Escaped().Pairs {
		kind := p.Key.Text
		if !slices.Contains(draftKinds, kind) {
			faults = append(faults, p.Key.Fault("`"+kind+"` is not a kind of settings", document.DidYouMean(kind, draftKinds)))
			continue
		}
		if all[kind] == nil {
			all[kind] = map[string]json.RawMessage{}
		}
		add := func(name *document.Node, settings []byte) {
			if _, twice := all[kind][name.Text]; twice {
				faults = append(faults, name.Fault("`"+name.Text+"` is there twice", "keep one"))
			}
			all[kind][name.Text] = settings
		}
		for _, named := range p.Value.Pairs {
			add(named.Key, named.Value.JSON())
		}
		for _, item := range p.Value.Items {
			name := item.Key("name")
			if name == nil || name.Kind != document.Scalar {
				faults = append(faults, item.Fault("this has no name", "write name: NAME"))
				continue
			}
			add(name, item.With(func(key string) bool { return key != "name" }).JSON())
		}
		if p.Value.Kind == document.Scalar {
			faults = append(faults, p.Value.Fault("this must be a mapping by name, or a list", "write each document under its name"))
		}
	}
	if len(faults) > 0 {
		return nil, d.node.Guarded(faults)
	}
	if len(all) == 0 {
		return nil, errors.New(d.node.At.File + " has no documents: write " + strings.Join(draftKinds, ", ") + ", as in a configuration")
	}
	return &TrialDraft{Webhooks: all["webhooks"], Connections: all["connections"], Sources: all["sources"], Rules: all["rules"]}, nil
}

// TrialAs returns the settings as those of one document of a trial; kind is as in Kind.
func (d *Draft) TrialAs(kind Kind, name string) *TrialDraft {
	one := map[string]json.RawMessage{name: d.JSON()}
	switch kind {
	case WebhookKind:
		return &TrialDraft{Webhooks: one}
	case ConnectionKind:
		return &TrialDraft{Connections: one}
	case SourceKind:
		return &TrialDraft{Sources: one}
	}
	return &TrialDraft{Rules: one}
}

// LocatedInTrial is Located for the answer to a trial. one: the draft was made by TrialAs.
func (d *Draft) LocatedInTrial(err error, one bool) error {
	refused, ok := errors.AsType[*APIError](err)
	if !ok || refused.Status != http.StatusUnprocessableEntity {
		return err
	}
	inDraft := *refused
	inDraft.Detail = slices.Clone(refused.Detail)
	for i, detail := range inDraft.Detail {
		if len(detail.Loc) == 0 || detail.Loc[0] != "draft" {
			return err // it is about what else was asked
		}
		inDraft.Detail[i].Loc = d.placeInTrial(detail.Loc[1:], one)
	}
	return d.Located(&inDraft)
}

// placeInTrial returns where the text has what a trial has under kind and name.
func (d *Draft) placeInTrial(loc []string, one bool) []string {
	if len(loc) < 2 {
		return loc
	}
	if one {
		return loc[2:]
	}
	if kind := d.node.Key(loc[0]); kind != nil {
		for i, item := range kind.Items {
			if name := item.Key("name"); name != nil && name.Text == loc[1] {
				return slices.Concat([]string{loc[0], strconv.Itoa(i)}, loc[2:])
			}
		}
	}
	return loc
}
