package intake

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

// How rejected requests are kept. Those that were not proved have a list of their own: whoever knows the address
// can fill that one, and must not push out what the platform itself sent.
const (
	rejectedKept    = 100
	rejectedFor     = 24 * time.Hour
	rejectedMaxBody = 64 << 10
	rejectedHeaders = 64
	rejectedValue   = 1024
)

// rejection is a refusal of one request.
type rejection struct {
	// reason is one of few: it is a label of a metric.
	reason  string
	problem *answer.Problem
	// cause is for the operator; the caller never sees it.
	cause error
	// proved says that the platform sent it.
	proved bool
}

// Rejected is a refused request as it is kept: without secrets.
type Rejected struct {
	At        time.Time   `json:"at"`
	Reason    string      `json:"reason"`
	Detail    string      `json:"detail,omitempty"`
	Status    int         `json:"status"`
	Proved    bool        `json:"proved"`
	RequestID string      `json:"request_id"`
	Method    string      `json:"method"`
	Path      string      `json:"path"`
	Remote    string      `json:"remote,omitempty"`
	Headers   [][2]string `json:"headers"`
	Size      int         `json:"size"`
	Body      string      `json:"body,omitempty"`
	// Encoding is base64 where the body is no UTF-8.
	Encoding  string `json:"encoding,omitempty"`
	Truncated bool   `json:"truncated,omitempty"`
}

// refuse counts a rejection, keeps the request if its source has not just kept many, and is what is answered.
func (d *Door) refuse(c *fiber.Ctx, e *entry, r *reader, why rejection) error {
	e.counts.Rejected(why.reason)
	now := d.Clock.Now()
	if !e.keeping.AllowN(now, 1) || !d.keeping.AllowN(now, 1) {
		return why.problem
	}
	item, err := json.Marshal(d.describe(c, e, r, why, now))
	if err == nil {
		err = d.Store.Keep(d.Context, e.tenant, rejectedList(e.name, why.proved), item, rejectedKept, rejectedFor)
	}
	if err != nil {
		d.Log.Warn("rejected request is not kept", "tenant", e.tenant, "source", e.name, "err", err)
	}
	return why.problem
}

// TooLarge keeps a request that the HTTP server refused unread, if its path is a source's.
func (d *Door) TooLarge(c *fiber.Ctx) {
	parts := strings.Split(strings.Trim(c.Path(), "/"), "/")
	tenant := "default"
	if len(parts) > 2 && parts[0] == "t" {
		tenant, parts = parts[1], parts[2:]
	}
	if len(parts) < 2 || parts[0] != "in" {
		return
	}
	e := d.current().find(tenant, parts[1])
	if e == nil || !e.enabled || e.stream {
		return
	}
	_ = d.refuse(c, e, &reader{ctx: c}, tooLarge()) // the server's own answer stands
}

func (d *Door) describe(c *fiber.Ctx, e *entry, r *reader, why rejection, now time.Time) *Rejected {
	kept := &Rejected{
		At: now.UTC(), Reason: why.reason, Status: why.problem.Status, Proved: why.proved,
		RequestID: answer.RequestID(c.Context()), Method: strings.Clone(c.Method()),
	}
	mask := newMask(e.source)
	if why.cause != nil {
		kept.Detail = string(mask.text([]byte(why.cause.Error())))
	}
	kept.Path = "/in/" + e.name
	if e.tenant != "default" {
		kept.Path = "/t/" + e.tenant + kept.Path
	}
	if r.request.Token != "" {
		kept.Path += "/" + hidden
	}
	if args := c.Request().URI().QueryArgs(); args.Len() > 0 {
		kept.Path += "?" + string(mask.form(bytes.Clone(args.QueryString())))
	}
	if r.request.Remote.IsValid() {
		kept.Remote = r.request.Remote.String()
	}
	for name, value := range c.Request().Header.All() {
		if len(kept.Headers) == rejectedHeaders {
			break
		}
		text := hidden
		if !secretName(name) && !e.hidden[strings.ToLower(string(name))] {
			text = string(mask.text(value[:min(len(value), rejectedValue)]))
		}
		kept.Headers = append(kept.Headers, [2]string{string(name), strings.ToValidUTF8(text, "\uFFFD")})
	}
	body := c.Request().Body()
	kept.Size = max(len(body), c.Request().Header.ContentLength())
	if len(body) > rejectedMaxBody {
		body, kept.Truncated = body[:rejectedMaxBody], true
	}
	masked := mask.body(body, c.Request().Header.ContentType())
	if kept.Truncated {
		for range utf8.UTFMax - 1 { // the cut may have split a character
			if r, size := utf8.DecodeLastRune(masked); r != utf8.RuneError || size != 1 {
				break
			}
			masked = masked[:len(masked)-1]
		}
	}
	if utf8.Valid(masked) {
		kept.Body = string(masked)
	} else {
		kept.Body, kept.Encoding = base64.StdEncoding.EncodeToString(masked), "base64"
	}
	return kept
}

func rejectedList(name string, proved bool) string {
	if proved {
		return "rejected/" + name
	}
	return "rejected/" + name + "/unproved"
}

// RejectedOf are a source's rejected requests, newest first.
func RejectedOf(ctx context.Context, store state.Settings, tenant, name string) ([]*Rejected, error) {
	var all []*Rejected
	for _, proved := range []bool{true, false} {
		items, err := store.Kept(ctx, tenant, rejectedList(name, proved))
		if err != nil {
			return nil, fmt.Errorf("rejected requests of %s: %w", name, err)
		}
		for _, item := range items {
			each := &Rejected{}
			if err := json.Unmarshal(item, each); err != nil {
				return nil, fmt.Errorf("rejected requests of %s: %w", name, err)
			}
			all = append(all, each)
		}
	}
	slices.SortStableFunc(all, func(a, b *Rejected) int { return cmp.Compare(b.At.UnixNano(), a.At.UnixNano()) })
	return all[:min(len(all), rejectedKept)], nil
}

// tokenHeaders are the headers in which a source's tokens come, lower case.
func tokenHeaders(s *source.Source) map[string]bool {
	names := map[string]bool{}
	checks := s.Settings.Verify
	if checks == nil {
		checks = s.Profile.Verify
	}
	for _, v := range checks {
		if v.Kind == source.KindToken && v.Header != "" {
			names[strings.ToLower(v.Header)] = true
		}
	}
	return names
}
