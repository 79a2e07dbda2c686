package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

// Rejected requests are stored in two lists. Unproved ones have a list of their own: anybody who knows the address can fill it,
// and must not displace what the platform itself sent.
const (
	rejectedKept    = 100
	rejectedFor     = 24 * time.Hour
	rejectedMaxBody = 64 << 10
)

// rejection is a refusal of one request.
type rejection struct {
	reason  state.Refusal
	problem *answer.Problem
	// cause is for the operator; it is not in the answer.
	cause error
	// proved: the platform sent it.
	proved bool
}

// refuse counts a rejection, stores the request unless the source has just stored many, and returns the answer.
func (d *Door) refuse(c *fiber.Ctx, e *entry, r *reader, why rejection) error {
	now := d.Clock.Now()
	e.counts.Refused(why.reason, now)
	e.refusals.refused(why.reason.String(), now)
	of := keepStranger
	if r.proved() {
		of = keepProved
	}
	if !d.may(e, of, now) {
		e.missed.add(why.proved, now)
		return why.problem
	}
	item, err := json.Marshal(d.describe(c, e, r, why, now))
	if err == nil {
		err = d.Store.Keep(d.Context, e.tenant, rejectedList(e.name, why.proved), item, rejectedKept, rejectedFor)
	}
	if err != nil {
		e.missed.add(why.proved, now)
		d.Log.Warn("rejected request is not kept", "tenant", e.tenant, "source", e.name, "err", err)
	}
	return why.problem
}

// TooLarge stores a request that the HTTP server refused without reading it, if its path is that of a source.
func (d *Door) TooLarge(c *fiber.Ctx) {
	parts := strings.Split(strings.Trim(c.Path(), "/"), "/")
	tenant := "default"
	if len(parts) > 2 && parts[0] == "t" {
		tenant, parts = parts[1], parts[2:]
	}
	if len(parts) < 2 || parts[0] != "in" {
		return
	}
	e := d.find(tenant, parts[1])
	if e == nil || !e.enabled || e.stream {
		return
	}
	_ = d.refuse(c, e, &reader{ctx: c}, tooLarge()) // the server's own answer stands
}

func (d *Door) describe(c *fiber.Ctx, e *entry, r *reader, why rejection, now time.Time) *view.Rejected {
	mask := newMask(e.source, &r.request)
	kept := &view.Rejected{
		Request: requestOf(c, e, r, mask, now), Reason: why.reason.String(), Proved: why.proved,
	}
	kept.Status = why.problem.Status
	if why.cause != nil {
		kept.Detail = mask.text(why.cause.Error())
	}
	keep(&kept.Request, mask.body(head(c.Request().Body(), rejectedMaxBody), c.Request().Header.ContentType()))
	if errors.Is(why.cause, source.ErrRefused) {
		kept.Checks = e.source.Inspect(&r.request)
		for i := range kept.Checks {
			check := &kept.Checks[i]
			check.Signed, check.Given = mask.text(check.Signed), mask.text(check.Given)
		}
	}
	return kept
}

func rejectedList(name string, proved bool) string {
	if proved {
		return "rejected/" + name
	}
	return "rejected/" + name + "/unproved"
}

// RejectedOf returns the rejected requests of a source, newest first.
func RejectedOf(ctx context.Context, store state.Settings, tenant, name string) ([]view.Rejected, error) {
	var all []view.Rejected
	for _, proved := range []bool{true, false} {
		more, err := keptOf[view.Rejected](ctx, store, tenant, rejectedList(name, proved))
		if err != nil {
			return nil, fmt.Errorf("rejected requests of %s: %w", name, err)
		}
		all = append(all, more...)
	}
	return newest(all), nil
}
