package erase

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/rules/event"
)

const (
	// maxIdentities bounds what one product is asked about a person: an erasure for each set of identifiers.
	maxIdentities = 10
	// productsFor is how often the job looks whether products have answered.
	productsFor = 2 * time.Second
)

// identity is what one event says of the person.
type identity struct {
	Email    string `json:"email,omitempty"`
	Phone    string `json:"phone,omitempty"`
	External string `json:"external_id,omitempty"`
}

// within reports whether another identity says the same, and more.
func (i identity) within(other identity) bool {
	return (i.Email == "" || strings.EqualFold(i.Email, other.Email)) && (i.Phone == "" || i.Phone == other.Phone) && (i.External == "" || i.External == other.External)
}

// identityOf is that of a person of whom no event is kept.
func identityOf(person string) identity {
	switch {
	case strings.Contains(person, "@"):
		return identity{Email: person}
	case strings.HasPrefix(person, "+"):
		return identity{Phone: person}
	}
	return identity{External: person}
}

// identify notes what an event says of the person.
func (s *search) identify(ev *event.Event) {
	email, phone, external := ev.Person()
	own := identity{strings.TrimSpace(email), strings.TrimSpace(phone), strings.TrimSpace(external)}
	if own == (identity{}) || slices.ContainsFunc(s.Identities, own.within) {
		return
	}
	s.Identities = append(slices.DeleteFunc(s.Identities, func(old identity) bool { return old.within(own) }), own)
}

// identities are what products are asked for.
func (s *search) identities() []identity {
	if len(s.Identities) == 0 {
		return []identity{identityOf(s.Person)}
	}
	return s.Identities[:min(len(s.Identities), maxIdentities)]
}

// products returns what becomes of the person in each destination of a tenant, before any is asked.
func products(plan *decide.Plan, tenant string) (all []view.ErasureProduct) {
	for _, d := range plan.DestinationsOf(tenant) {
		p := view.ErasureProduct{Destination: d.Name, Product: d.Product}
		p.ByHand = byHand(d)
		all = append(all, p)
	}
	return all
}

// byHand says why a product cannot be asked to erase a person; empty: it can.
func byHand(d *config.Destination) string {
	f, ok := d.Alone.(connectors.Forgetter)
	switch {
	case d.Broken:
		return "its settings have a fault"
	case !d.Enabled:
		return "it is disabled"
	case !ok && d.Product == "webhook":
		return "its receiver has what it was sent"
	case !ok:
		return "it has no way to erase a person"
	}
	if err := f.CanForget(); err != nil {
		if invalid, ok := errors.AsType[*connectors.InvalidError](err); ok {
			return "it " + invalid.Reason
		}
		return err.Error()
	}
	return ""
}

// askProducts publishes one event for each product that can erase the person, and each of the person's identities. Asked again after a
// crash it publishes the same events, which are duplicates then.
func (w *work) askProducts(ctx context.Context) error {
	w.r.Products = products(w.Plan(), w.tenant)
	w.p.Asked = nil
	var events []*event.Event
	for i := range w.r.Products {
		p := &w.r.Products[i]
		if p.ByHand != "" {
			continue
		}
		for n, who := range w.s.identities() {
			ev, err := event.New(event.Header{
				Tenant: w.tenant, Source: event.ErasureSource, SourceKind: event.ErasureSource, Type: event.TypeErasure,
				OrigID: decide.TestID(p.Destination, fmt.Sprintf("%s-%d", w.run.ID, n)), DedupeKey: fmt.Sprintf("%s/%s/%d", w.run.ID, p.Destination, n),
				Received: w.Clock.Now(), Verified: event.VerifiedAPI,
			}, &event.Data{Respondent: event.Respondent{Email: who.Email, Phone: who.Phone, ExternalID: who.External}}, event.Raw{})
			if err != nil {
				return fmt.Errorf("ask %s: %w", p.Destination, err)
			}
			events = append(events, ev)
			w.p.Asked = append(w.p.Asked, asked{Destination: p.Destination, Event: ev.ID, Delivery: decide.AloneDelivery(ev, ev.Received).ID})
		}
	}
	if len(events) > 0 {
		if _, err := w.Store.Append(ctx, events); err != nil {
			return fmt.Errorf("ask products: %w", err)
		}
	}
	w.p.Told = true
	return w.save(ctx)
}

// asked is one erasure that a product was asked for.
type asked struct {
	Destination string `json:"destination"`
	Event       string `json:"event"`
	Delivery    string `json:"delivery"`
}

// awaitProducts waits until every product has answered, and then erases what it was asked with. Waiting deliveries end by the bounds of
// their destinations, at the latest when retention ends them.
func (w *work) awaitProducts(ctx context.Context) (wait time.Duration, done bool, err error) {
	for i := range w.r.Products {
		w.r.Products[i].Answers = nil
	}
	var ids []string
	for _, a := range w.p.Asked {
		ids = append(ids, a.Event)
		d, err := w.Store.Delivery(ctx, w.tenant, a.Delivery)
		if errors.Is(err, state.ErrNotFound) {
			record, err := w.Store.Event(ctx, w.tenant, a.Event)
			if err != nil && !errors.Is(err, state.ErrNotFound) {
				return 0, false, fmt.Errorf("products: %w", err)
			}
			if err == nil && record.Outcome == nil {
				return w.waits(ctx, a.Destination+" is being asked to erase the person", productsFor)
			}
			w.answer(a, "it was removed before it could be asked")
			continue
		}
		if err != nil {
			return 0, false, fmt.Errorf("products: %w", err)
		}
		if d.State == state.Waiting {
			// Its reason may name the person.
			return w.waits(ctx, a.Destination+" has not answered: see the delivery "+a.Delivery, productsFor)
		}
		w.answer(a, w.ended(d))
	}
	for some := range slices.Chunk(ids, state.MaxErase) {
		results, err := w.Store.Erase(ctx, w.tenant, some)
		if err != nil {
			return 0, false, fmt.Errorf("erase what products were asked with: %w", err)
		}
		for i := range results {
			if busy := results[i].Busy; busy != "" {
				return w.waits(ctx, "what products were asked with cannot be erased yet: "+busy, busyFor)
			}
		}
	}
	w.s.Events = append(w.s.Events, ids...) // so that their bytes leave the disk too
	w.p.Answered, w.run.Waits = true, ""
	return 0, false, w.save(ctx)
}

// waits says why the job waits, which is stored when it begins to, and each time that it is begun again: that counts as progress.
func (w *work) waits(ctx context.Context, why string, wait time.Duration) (time.Duration, bool, error) {
	if w.run.Waits == why {
		return wait, false, nil
	}
	w.run.Waits = why
	return wait, false, w.save(ctx)
}

func (w *work) answer(a asked, text string) {
	for i := range w.r.Products {
		if p := &w.r.Products[i]; p.Destination == a.Destination {
			p.Answers = append(p.Answers, view.ErasureAnswer{Delivery: a.Delivery, Text: text})
		}
	}
}

// ended says how a product's erasure ended.
func (f *finder) ended(d *state.Delivery) string {
	text := map[state.DeliveryState]string{
		state.Delivered: "erased", state.Skipped: "nothing to erase", state.Dead: "refused", state.Dropped: "given up",
	}[d.State]
	reason := d.Reason
	if n := len(d.Log); reason == "" && n > 0 {
		reason = d.Log[n-1].Reason
	}
	switch {
	case reason == "":
	case f.names().in(reason):
		text += ": its answer, which names the person, is erased"
	default:
		text += ": " + reason
	}
	return text
}
