package erase

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

// stage is what a search does next.
type stage int

// The stages of a search, in their order. byResponse comes again after each that found further responses.
const (
	byPerson stage = iota
	byResponse
	byScan
	inEntries
	inHistory
	inRequests
	inNotices
	searched
)

// Bounds of a search.
const (
	// MaxEvents bounds the events of one erasure.
	MaxEvents = 20_000
	// scanAtOnce is how many events one step of a scan looks at.
	scanAtOnce = 500
	pageLimit  = 200
)

// search finds what a person left in the store of a tenant. It is a value that is stored between its steps.
type search struct {
	Person string   `json:"person"` // as it was asked for
	Names  []string `json:"names"`  // what the person goes by
	Stage  stage    `json:"stage"`
	Cursor string   `json:"cursor,omitempty"`
	At     uint64   `json:"at,omitempty"` // position at which a scan goes on
	// ScanTo: events received before are not all in the index of respondents; zero: all are.
	ScanTo time.Time `json:"scan_to,omitzero"`
	Next   int       `json:"next,omitempty"` // index of the response, or of the list, that comes next
	// After is the stage behind byResponse.
	After     stage      `json:"after,omitempty"`
	Responses []response `json:"responses,omitempty"`
	// Identities are what events say of the person, for products.
	Identities []identity `json:"identities,omitempty"`
	// Events are erased; of Attempts, deliveries of others, the texts alone.
	Events   []string `json:"events,omitempty"`
	Attempts []string `json:"attempts,omitempty"`
	// Removed are events that retention has removed, of which history is left.
	Removed []string `json:"removed,omitempty"`

	known map[string]bool
	names *names
}

// response is one response of the person.
type response struct {
	Source string `json:"source"`
	Survey string `json:"survey,omitempty"`
	ID     string `json:"id"`
	Key    string `json:"key"`
}

// finder does the steps of a search.
type finder struct {
	*Eraser
	tenant string
	s      *search
	dry    bool
	r      *view.ErasureReceipt
}

// step does the next part of the search.
func (f *finder) step(ctx context.Context) error {
	s := f.s
	if s.known == nil {
		s.known = map[string]bool{}
		for _, id := range slices.Concat(s.Events, s.Attempts, s.Removed) {
			s.known[id] = true
		}
	}
	var err error
	switch s.Stage {
	case byPerson:
		err = f.byPerson(ctx)
	case byResponse:
		err = f.byResponse(ctx)
	case byScan:
		err = f.byScan(ctx)
	case inEntries:
		err = f.inEntries(ctx)
	case inHistory:
		err = f.inHistory(ctx)
	case inRequests:
		err = f.inRequests(ctx)
	case inNotices:
		err = f.inNotices(ctx)
	case searched:
	}
	f.r.Events, f.r.Responses, f.r.Removed, f.r.Mentioned = len(s.Events), len(s.Responses), len(s.Removed), len(s.Attempts)
	return err
}

// turn goes on to a stage, or first to the responses that were found.
func (s *search) turn(to stage) {
	s.Cursor, s.At = "", 0
	if s.Stage, s.After = to, 0; s.Next < len(s.Responses) && to < inHistory {
		s.Stage, s.After = byResponse, to
	}
	if to >= inHistory {
		s.Next = 0
	}
}

func (f *finder) byPerson(ctx context.Context) error {
	p, err := f.Store.Events(ctx, f.tenant, state.EventQuery{Respondent: f.s.Person, Cursor: f.s.Cursor, Limit: pageLimit})
	if err != nil {
		return fmt.Errorf("find events by their respondent: %w", err)
	}
	if p.RespondentsSince.After(f.s.ScanTo) {
		f.s.ScanTo = p.RespondentsSince
	}
	for _, record := range p.Items {
		f.add(record)
	}
	if f.s.Cursor = p.Next; p.Next == "" {
		f.s.turn(byScan)
	}
	return f.bound()
}

func (f *finder) byResponse(ctx context.Context) error {
	s := f.s
	if s.Next >= len(s.Responses) {
		s.turn(s.After)
		return nil
	}
	of := s.Responses[s.Next]
	p, err := f.Store.Events(ctx, f.tenant, state.EventQuery{Response: of.ID, Source: of.Source, Survey: of.Survey, Cursor: s.Cursor, Limit: pageLimit})
	if err != nil {
		return fmt.Errorf("find events by their response: %w", err)
	}
	for _, record := range p.Items {
		if record.Event.ResponseKey() == of.Key {
			f.add(record)
		}
	}
	if s.Cursor = p.Next; p.Next == "" {
		s.Next++
	}
	return f.bound()
}

var errEnough = errors.New("enough for one step")

// byScan looks at events that the index of respondents does not have.
func (f *finder) byScan(ctx context.Context) error {
	s := f.s
	if s.ScanTo.IsZero() {
		s.turn(inEntries)
		return nil
	}
	n, done := 0, true
	err := f.Store.Range(ctx, f.tenant, s.At, func(record *state.Record) error {
		if record.Event.Received.After(s.ScanTo.Add(state.MaxDisorder)) {
			return errEnough
		}
		if n++; n > scanAtOnce {
			s.At, done = record.Position, false
			return errEnough
		}
		if s.isPerson(record.Event) || slices.ContainsFunc(record.Former, func(former state.Former) bool { return s.isPerson(former.Event) }) {
			f.add(record)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return fmt.Errorf("scan events: %w", err)
	}
	if done {
		s.turn(inEntries)
	}
	return f.bound()
}

func (s *search) isPerson(ev *event.Event) bool {
	email, phone, external := ev.Person()
	return slices.ContainsFunc([]string{email, phone, external}, func(name string) bool {
		return name != "" && strings.EqualFold(strings.TrimSpace(name), s.Person)
	})
}

// inEntries looks at entries of streams that no event could be made of: nothing of them is in an index.
func (f *finder) inEntries(ctx context.Context) error {
	p, err := f.Store.Events(ctx, f.tenant, state.EventQuery{Dead: true, Cursor: f.s.Cursor, Limit: pageLimit})
	if err != nil {
		return fmt.Errorf("find entries of streams: %w", err)
	}
	for _, record := range p.Items {
		if record.Event.Type == event.TypeEntry && f.names().in(string(record.Event.Raw.Body)) {
			f.addID(record.Event.ID)
		}
	}
	if f.s.Cursor = p.Next; p.Next == "" {
		f.s.turn(inHistory)
	}
	return f.bound()
}

// inHistory looks for requests and answers that name the person: of events that retention has removed, and of those of others.
func (f *finder) inHistory(ctx context.Context) error {
	s := f.s
	p, err := f.Store.Deliveries(ctx, f.tenant, state.DeliveryQuery{Cursor: s.Cursor, Limit: pageLimit})
	if err != nil {
		return fmt.Errorf("search history: %w", err)
	}
	for i := range p.Items {
		d := &p.Items[i]
		if s.known[d.EventID] || s.known[d.ID] || !f.names().inAttempts(d) {
			continue
		}
		switch _, err := f.Store.Event(ctx, f.tenant, d.EventID); {
		case errors.Is(err, state.ErrNotFound):
			s.known[d.EventID] = true
			s.Removed = append(s.Removed, d.EventID)
		case err != nil:
			return fmt.Errorf("search history: %w", err)
		default:
			s.known[d.ID] = true
			s.Attempts = append(s.Attempts, d.ID)
		}
	}
	if s.Cursor = p.Next; p.Next == "" {
		s.turn(inRequests)
	}
	return f.bound()
}

// inAttempts reports whether an attempt of a delivery names the person.
func (n *names) inAttempts(d *state.Delivery) bool {
	if n.in(d.Reason) {
		return true
	}
	return slices.ContainsFunc(d.Log, func(a state.Attempt) bool {
		return n.in(a.Reason) || n.in(string(a.Request)) || n.in(string(a.Response))
	})
}

// listsAtOnce is how many lists one step looks at.
const listsAtOnce = 16

// inRequests removes requests that sources kept, and answers that the API kept, or counts them in a dry run.
func (f *finder) inRequests(ctx context.Context) error {
	lists, err := f.Lists(ctx, f.tenant)
	if err != nil {
		return fmt.Errorf("find the requests that sources kept: %w", err)
	}
	for range listsAtOnce {
		if f.s.Next >= len(lists) {
			f.s.turn(inNotices)
			return nil
		}
		if err := f.inList(ctx, lists[f.s.Next]); err != nil {
			return err
		}
		f.s.Next++
	}
	return nil
}

func (f *finder) inList(ctx context.Context, list string) (err error) {
	n := 0
	if f.dry {
		items, err := f.Store.Kept(ctx, f.tenant, list, 0, -1)
		if err != nil {
			return fmt.Errorf("search requests: %w", err)
		}
		for _, item := range items {
			if f.names().inItem(item) {
				n++
			}
		}
	} else if n, err = f.Store.Weed(ctx, f.tenant, list, f.names().inItem); err != nil {
		return fmt.Errorf("remove requests: %w", err)
	}
	switch kind, _, _ := strings.Cut(list, "/"); kind {
	case "captured":
		f.r.Captured += n
	case "rejected":
		f.r.Rejected += n
	default:
		f.r.Answers += n
	}
	return nil
}

// inNotices looks at the gateway's own notices, which may quote the reason of a dead letter. It is last, as it reads the whole timeline.
func (f *finder) inNotices(ctx context.Context) error {
	p, err := f.Store.Events(ctx, f.tenant, state.EventQuery{Source: event.NoticeSource, Cursor: f.s.Cursor, Limit: pageLimit})
	if err != nil {
		return fmt.Errorf("search notices: %w", err)
	}
	for _, record := range p.Items {
		if f.names().in(string(record.Event.DataJSON())) {
			f.addID(record.Event.ID)
		}
	}
	if f.s.Cursor = p.Next; p.Next == "" {
		f.s.turn(searched)
	}
	return f.bound()
}

// add adds an event, with what it says of the person and its response.
func (f *finder) add(record *state.Record) {
	s := f.s
	if record.Event.IsErased() {
		return
	}
	f.addID(record.Event.ID)
	all := []*event.Event{record.Event}
	for i := range record.Former {
		all = append(all, record.Former[i].Event)
	}
	for _, ev := range all {
		s.identify(ev)
		email, phone, external := ev.Person()
		for _, name := range [...]string{email, phone, external} {
			if name = strings.TrimSpace(name); name != "" && !slices.Contains(s.Names, name) {
				s.Names, s.names = append(s.Names, name), nil
			}
		}
	}
	ev := record.Event
	if key := ev.ResponseKey(); key != "" && !slices.ContainsFunc(s.Responses, func(r response) bool { return r.Key == key }) {
		s.Responses = append(s.Responses, response{Source: ev.Source, Survey: ev.SurveyID, ID: ev.ResponseID, Key: key})
	}
}

func (f *finder) addID(id string) {
	if !f.s.known[id] {
		f.s.known[id] = true
		f.s.Events = append(f.s.Events, id)
	}
}

func (f *finder) names() *names {
	if f.s.names == nil {
		n := newNames(f.s.Names)
		f.s.names = &n
	}
	return f.s.names
}

func (f *finder) bound() error {
	if len(f.s.Events) > MaxEvents {
		return &tooManyError{}
	}
	return nil
}
