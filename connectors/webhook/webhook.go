// Package webhook delivers survey events to any URL as a signed POST, in the platform's own bytes or in ours.
//
// To rotate a secret with `standard`, `ed25519` or `stripe`, whose header carries one signature for each secret: write the
// new secret before the old one here, give the new one to the receiver, and then take the old one out. With every other
// signature the header has room for one, which the first secret makes: let the receiver accept the new secret beside the
// old one, write the new one alone here, and then let the receiver forget the old one. A receiver that knows only one
// secret at a time refuses what comes between the two changes; that is tried again by the schedule where it answers 401.
package webhook

import (
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

var (
	_ connectors.Judge     = (*Connector)(nil)
	_ connectors.Validator = (*Connector)(nil)
)

func init() {
	connectors.Register("webhook", func() connectors.Connector {
		return &Connector{SendAnswers: true, SendLeads: true}
	})
}

// Connector posts every event to one receiver, signed so that the receiver knows who sent it.
type Connector struct {
	// URL is where events are posted. It is https, unless `outbound` allows otherwise. One that is itself the credential, as
	// Zapier, Make and Teams give out, is written as `${NAME}`: then it is shown and kept nowhere. Written out, it is hidden
	// only where it looks like one: by a long key in its path, or a parameter such as `sig` or `token`. Behind the host it may
	// have holes, `https://hook.example.com/contacts/{{ respondent.id }}?survey={{ survey.id }}`: what fills them is escaped. An
	// event that leaves a hole of the path empty is skipped; a parameter that stays empty is left out.
	URL connectors.URL `yaml:"url"`

	// Secrets sign the body: one, or while rotating two, the newest first. `surveygate secret` prints one. With `standard`
	// it is base64 of 24 bytes or more, with or without `whsec_` before it.
	Secrets []connectors.Secret `yaml:"secrets,omitempty"`

	// Preset delivers as a platform does: `standard`, `pollqr`, `popsee` or `chattosurvey`. It sets signature,
	// headers, retry and timeout together; each of them may still be set beside it.
	Preset PresetName `yaml:"preset,omitempty"`

	// Signature is how requests are signed: `standard` (Standard Webhooks, the default), `ed25519`, `pollqr`,
	// `popsee`, `chattosurvey`, `github`, `stripe`, `none`, or a mapping of one's own.
	Signature connectors.Signature `yaml:"signature,omitempty"`

	// Body is what is sent: `raw` (the platform's original bytes, the default), `event` (the normalised event),
	// `cloudevents`, `cloudevents-binary`, or a mapping of values. What a platform's own bytes do not say goes beside them in the
	// headers `webhook-event` (the canonical type), `webhook-source` and `webhook-tenant`.
	Body Body `yaml:"body,omitempty"`

	// LargeNumbers is how whole numbers beyond 2^53 stand in every body but `raw`: `number` (all digits; JavaScript's JSON.parse
	// rounds them), `text` (all digits, in quotes) or `rounded` (what JavaScript makes of them). The default is `number`, and
	// `text` with the signature `pollqr`, whose receivers verify JSON.stringify(JSON.parse(body)): there `number` would break it.
	LargeNumbers LargeNumbers `yaml:"large_numbers,omitempty"`

	// Headers go with every request, such as a receiver's token. Their values are secrets. One that is written out may have
	// holes, `X-Response: "{{ response.id }}"`, and is left out where they leave it empty; one from `${NAME}` goes as it is.
	Headers map[string]connectors.HeaderValue `yaml:"headers,omitempty"`

	// Delay is how long after the event the first attempt is made.
	Delay time.Duration `yaml:"delay,omitempty"`

	// SendAnswers false leaves the answers out of the body; what was read out of them (scores, feedback, contact)
	// stays in bodies other than `raw`.
	SendAnswers bool `yaml:"send_answers,omitempty"`

	// SendLeads false leaves the leads out of the body.
	SendLeads bool `yaml:"send_leads,omitempty"`

	// SendIncomplete delivers responses that were not finished (`response.partial`) too.
	SendIncomplete bool `yaml:"send_incomplete,omitempty"`

	// IncompleteDelay cannot be set yet.
	IncompleteDelay time.Duration `yaml:"incomplete_delay,omitempty" later:"true"`
}

// Build writes the body; outbound signs the very bytes.
func (c *Connector) Build(ev *event.Event) (*connectors.Request, error) {
	if ev.Type == "response.partial" && !c.SendIncomplete {
		return nil, connectors.Skip("incomplete")
	}
	body, contentType, err := c.body(ev)
	if err != nil {
		return nil, err
	}
	header := make([]connectors.Field, 1, 1+mostHeaders+len(c.Headers))
	header[0] = connectors.Field{Name: "Content-Type", Value: contentType}
	req := &connectors.Request{Method: http.MethodPost, Body: body, Header: header, Auth: c.auth(ev)}
	address, err := c.URL.For(ev)
	if err != nil {
		return nil, err
	}
	req.To(address)
	switch {
	case c.Body.Word == BinaryCloudEvents:
		req.Header = append(req.Header, attributes(ev)...)
	case c.isRaw():
		req.Header = about(req.Header, ev, c.Style())
	}
	if len(c.Headers) > 0 {
		for _, name := range slices.Sorted(maps.Keys(c.Headers)) { // one order, so that Build is the same each time
			value, present, err := c.Headers[name].For(ev)
			if err != nil {
				return nil, fmt.Errorf("header %s: %w", name, err)
			}
			if present {
				req.WithSecret(name, value)
			}
		}
	}
	return req, nil
}

// mostHeaders is room for those beside raw bytes.
const mostHeaders = 3

func (c *Connector) auth(ev *event.Event) connectors.Auth {
	auth := connectors.SignedAuth{Signature: c.Style(), Secrets: c.Secrets, Event: ev.OrigType, EventID: ev.OrigID}
	if auth.Event == "" {
		auth.Event = ev.Type
	}
	if auth.EventID == "" {
		auth.EventID = ev.ID
	}
	if ev.Revision > 0 { // a receiver that swallows ids it has seen must not swallow the corrected event
		auth.EventID += "." + strconv.Itoa(ev.Revision)
	}
	// The platform's body said these, and one style sends them as headers.
	auth.Event, auth.EventID = encode(auth.Event), encode(auth.EventID)
	return auth
}

// Style is the signature that counts: the setting, else the preset's, else `standard`.
func (c *Connector) Style() connectors.Signature {
	if !c.Signature.IsZero() {
		return c.Signature
	}
	if preset, ok := Presets[c.Preset]; ok {
		return preset.Signature
	}
	return Presets["standard"].Signature
}

// Judge is design's table for webhooks: a receiver may be misconfigured or not deployed yet, so 401, 403 and
// 404 are tried again, and 410 is its wish to be left alone.
func (c *Connector) Judge(res *connectors.Response) connectors.Verdict {
	why := connectors.StatusReason(res.Status)
	switch s := res.Status; {
	case s == http.StatusOK:
		return connectors.Deliver()
	case s >= 200 && s <= 299:
		if Presets[c.Preset].Only200 {
			return connectors.TryAfter(res, why)
		}
		return connectors.Deliver()
	case s == http.StatusGone: // of an address that is another for each event it speaks of this event alone
		return connectors.Verdict{Kind: connectors.Rejected, Reason: why, Gone: !c.URL.Holes()}
	case s == 401, s == 403, s == 404, s == 408, s == 425, s == 429:
		return connectors.TryAfter(res, why)
	case s >= 400 && s <= 499:
		return connectors.Reject(why)
	}
	return connectors.TryAfter(res, why)
}

// Validate wants a secret where something is signed, and headers that are the operator's to set.
func (c *Connector) Validate() error {
	style := c.Style()
	switch {
	case !style.Unsigned() && len(c.Secrets) == 0:
		return connectors.Invalid("secrets", "is missing: receivers could not tell who calls; `surveygate secret` prints one, and `signature: none` goes without")
	case style.Unsigned() && len(c.Secrets) > 0:
		return connectors.Invalid("secrets", "would sign nothing: the signature is `"+style.Style+"`; leave one of them out")
	case len(c.Secrets) > 2:
		return connectors.Invalid("secrets", "holds more than two; while rotating there are the new one and the old one")
	case c.Delay < 0:
		return connectors.Invalid("delay", "is less than nothing")
	case c.IncompleteDelay != 0:
		return connectors.Invalid("incomplete_delay", "does not work yet; `send_incomplete: true` delivers unfinished responses as they come")
	}
	if c.LargeNumbers != "" && c.isRaw() {
		return connectors.Invalid("large_numbers", "changes nothing: `raw` sends the platform's own bytes; set `body`, or leave it out")
	}
	if c.LargeNumbers == AsNumbers && style.Style == "pollqr" {
		return connectors.Invalid("large_numbers", "would break the signature `pollqr`, whose receivers verify what JavaScript makes of the body; write `text` or `rounded`")
	}
	for i, secret := range c.Secrets {
		if secret.IsZero() {
			return connectors.Invalid("secrets", "holds an empty secret")
		}
		if slices.Contains(c.Secrets[:i], secret) {
			return connectors.Invalid("secrets", "holds one secret twice")
		}
	}
	return c.validateHeaders(style)
}

func (c *Connector) validateHeaders(style connectors.Signature) error {
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		key := textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case !headerName.MatchString(name):
			return connectors.Invalid("headers", "`"+name+"` is no name of a header")
		case seen[key] != "":
			return connectors.Invalid("headers", "`"+seen[key]+"` and `"+name+"` are the same header")
		case key == "Host" || key == "Content-Length" || slices.Contains(framing, key):
			return connectors.Invalid("headers", "`"+name+"` is set by HTTP itself; leave it out")
		case signs(style, key):
			return connectors.Invalid("headers", "`"+name+"` belongs to the signature; leave it out")
		case strings.HasPrefix(strings.ToLower(key), event.AttributeHeader) && c.Body.Word == BinaryCloudEvents:
			return connectors.Invalid("headers", "`"+name+"` belongs to the CloudEvent; leave it out")
		}
		seen[key] = name
		if c.Headers[name].Holes() {
			continue
		}
		if err := connectors.CheckHeaderValue(c.Headers[name].Secret); err != nil {
			return connectors.Invalid("headers", "the value of `"+name+"` "+err.Error())
		}
	}
	return nil
}
