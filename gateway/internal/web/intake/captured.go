package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

// Captured requests are stored while a source's `capture` lasts. As with rejected ones, unproved requests have a list of their
// own.
const (
	capturedKept    = 50
	capturedFor     = 24 * time.Hour
	capturedMaxBody = 256 << 10
)

// captures reports whether the requests of a source are captured now: as configured, or because somebody asked for it.
func (d *Door) captures(e *entry, now time.Time) bool {
	return now.Before(e.captureUntil) || now.Before(d.asked.until(e.tenant, e.name))
}

// capture stores a request after it was answered; err is why it was refused.
func (d *Door) capture(c *fiber.Ctx, e *entry, r *reader, now time.Time, err error) {
	of := captureStranger
	if r.proved() {
		of = captureProved
	}
	if !d.may(e, of, now) {
		return
	}
	mask := newMask(e.source, &r.request)
	kept := &view.Captured{Request: requestOf(c, e, r, mask, now), Proved: r.request.Verified.Kind != ""}
	kept.Status = c.Response().StatusCode()
	if err != nil {
		kept.Status = answer.FromError(err).Status
	}
	body := head(c.Request().Body(), capturedMaxBody)
	masked := mask.exact(body, c.Request().Header.ContentType())
	kept.Redacted = !bytes.Equal(masked.bytes, body.bytes)
	keep(&kept.Request, masked)
	item, err := json.Marshal(kept)
	if err == nil {
		err = d.Store.Keep(d.Context, e.tenant, capturedList(e.name, kept.Proved), item, capturedKept, capturedFor)
	}
	if err != nil {
		d.Log.Warn("captured request is not kept", "tenant", e.tenant, "source", e.name, "err", err)
	}
}

func capturedList(name string, proved bool) string {
	if proved {
		return "captured/" + name
	}
	return "captured/" + name + "/unproved"
}

// CapturedOf returns the captured requests of a source, newest first.
func CapturedOf(ctx context.Context, store state.Settings, tenant, name string) ([]view.Captured, error) {
	var all []view.Captured
	for _, proved := range []bool{true, false} {
		more, err := keptOf[view.Captured](ctx, store, tenant, capturedList(name, proved))
		if err != nil {
			return nil, fmt.Errorf("captured requests of %s: %w", name, err)
		}
		all = append(all, more...)
	}
	return newest(all), nil
}

// CaptureUntil returns until when a source captures requests; zero: it does not.
func (d *Door) CaptureUntil(tenant, name string) time.Time {
	e, now := d.find(tenant, name), d.Clock.Now()
	if e == nil || !e.enabled || e.stream || !d.captures(e, now) {
		return time.Time{}
	}
	if asked := d.asked.until(tenant, name); asked.After(e.captureUntil) {
		return asked
	}
	return e.captureUntil
}

// Knew reports whether a tenant has, or had, a source of that name.
func (d *Door) Knew(tenant, name string) (bool, error) {
	if d.find(tenant, name) != nil {
		return true, nil
	}
	_, err := d.Store.Get(d.Context, tenant, settingKind, name)
	if errors.Is(err, state.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// KeptLists returns the lists of requests that the sources of a tenant kept, those of removed sources too; names are the sources that
// it has now. Those of captured requests begin with `captured/`.
func KeptLists(ctx context.Context, store state.Settings, tenant string, names []string) ([]string, error) {
	known, err := store.List(ctx, tenant, settingKind)
	if err != nil {
		return nil, err
	}
	names = slices.Clone(names)
	for _, s := range known {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	var lists []string
	for _, name := range slices.Compact(names) {
		for _, proved := range []bool{true, false} {
			lists = append(lists, rejectedList(name, proved), capturedList(name, proved))
		}
	}
	return lists, nil
}
