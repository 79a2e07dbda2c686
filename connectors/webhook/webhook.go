// Package webhook delivers survey events to any URL as a signed POST, in the platform's original bytes or in the gateway's
// format.
//
// To rotate a secret with `standard`, `ed25519` or `stripe`, whose header carries one signature per secret: add the new secret
// before the old one here, give the new one to the receiver, and then remove the old one. Every other signature carries only
// one, made with the first secret: let the receiver accept both secrets, replace the old one by the new one here, and then let
// the receiver remove the old one. A receiver that can hold only one secret refuses the requests between the two changes; they
// are retried by the schedule if it answers 401.
//
// With `send_incomplete: true` and `incomplete_delay: 2m`, a webhook is told of a response that has not been finished two minutes
// after it began, once, with what all its events say by then. The time counts from the event `response.started`, and where the platform
// sends none, from the first event of the response. A response that was completed by then is told of as completed only, and one that is
// completed later is told of again, by that event. `body: raw` is then the newest body of the unfinished response, because the bytes of
// several bodies cannot be one; every other body is made of the response as a whole. The webhook needs `events` of its own, with
// `response.completed` or `response.partial`; `response.started` and `answer.upserted` are added to them, so that it is told of a
// respondent who went no further too, as `response.partial`.
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
	_ connectors.Named     = (*Connector)(nil)
	_ connectors.Validator = (*Connector)(nil)
)

func init() {
	connectors.Register("webhook", func() connectors.Connector {
		return &Connector{SendAnswers: true, SendLeads: true}
	})
}

// Connector posts every event to one receiver, signed so that the receiver can verify the sender.
type Connector struct {
	// URL is the address of the receiver. It must be https, unless `outbound` allows http. An address that is itself the
	// credential, as Zapier, Make and Teams issue, should be written as `${NAME}`: then it is never shown or stored. Written out,
	// it is hidden only if it looks like a credential: a long key in its path, or a parameter such as `sig` or `token`. After
	// the host it may contain holes, `https://hook.example.com/contacts/{{ respondent.id }}?survey={{ survey.id }}`, whose values
	// are escaped. An event that leaves a hole of the path empty is skipped; an empty parameter is left out.
	URL connectors.URL `yaml:"url"`

	// Secrets sign the body: one secret, or two during a rotation, the newest first. `surveygate secret` prints a new one. With
	// `standard` a secret is base64 of at least 24 bytes, with or without the prefix `whsec_`.
	Secrets []connectors.Secret `yaml:"secrets,omitempty"`

	// Preset delivers in the way of a platform: `standard`, `pollqr`, `popsee`, `chattosurvey` or `pollarix`. It sets signature,
	// headers, body, retry and timeout together; each of them can be overridden. `pollarix` signs nothing: set a header that the
	// receiver checks.
	Preset PresetName `yaml:"preset,omitempty"`

	// Signature is the signature style: `standard` (Standard Webhooks, the default), `ed25519`, `pollqr`,
	// `popsee`, `chattosurvey`, `github`, `stripe`, `none`, or a mapping that describes a custom one.
	Signature connectors.Signature `yaml:"signature,omitempty"`

	// Body is the content: `raw` (the platform's original bytes, the default; notices of the gateway, `gateway.*`, have none and are
	// sent as `event`), `event` (the normalised event), `cloudevents`, `cloudevents-binary`, `pollarix` (the envelope of Pollarix'
	// webhooks, of events of every source; `webhookId` is the webhook's name, `departmentId` the tenant), or a mapping of values. With
	// `raw`, the headers `webhook-event` (the canonical type), `webhook-source` and `webhook-tenant` are added.
	Body Body `yaml:"body,omitempty"`

	// LargeNumbers is the form of whole numbers beyond 2^53 in every body but `raw`: `number` (all digits; JavaScript's
	// JSON.parse rounds them), `text` (all digits, in quotes) or `rounded` (as JavaScript rounds them). The default is `number`,
	// or `text` with the signature `pollqr`, whose receivers verify JSON.stringify(JSON.parse(body)): `number` would break the
	// signature.
	LargeNumbers LargeNumbers `yaml:"large_numbers,omitempty"`

	// Headers are sent with every request, such as a receiver's token. Their values are secrets. A value that is written out may
	// contain holes, `X-Response: "{{ response.id }}"`; a header whose value is empty is left out. A value from `${NAME}` is sent
	// unchanged.
	Headers map[string]connectors.HeaderValue `yaml:"headers,omitempty"`

	// Delay is the time between the event and the first attempt.
	Delay time.Duration `yaml:"delay,omitempty"`

	// SendAnswers set to false leaves the answers out of the body. What was derived from them (scores, feedback, contact)
	// remains in bodies other than `raw`.
	SendAnswers bool `yaml:"send_answers,omitempty"`

	// SendLeads set to false leaves the leads out of the body.
	SendLeads bool `yaml:"send_leads,omitempty"`

	// SendIncomplete also delivers unfinished responses (`response.partial`).
	SendIncomplete bool `yaml:"send_incomplete,omitempty"`

	// IncompleteDelay is how long after its start an unfinished response is delivered, once, with what there is of it by then;
	// without it, as its events come. A response that is completed by then is delivered as completed only; one that is completed later
	// is delivered again. It needs `send_incomplete`.
	IncompleteDelay time.Duration `yaml:"incomplete_delay,omitempty"`

	name string
}

// SetName sets the webhook's name, which Pollarix' envelope tells.
func (c *Connector) SetName(name string) { c.name = name }

// Build writes the body. The gateway signs exactly these bytes (gateway/internal/outbound).
func (c *Connector) Build(ev *event.Event) (*connectors.Request, error) {
	if ev.Type == "response.partial" && !c.SendIncomplete {
		return nil, connectors.Skip("incomplete")
	}
	body, contentType, err := c.body(ev)
	if err != nil {
		return nil, err
	}
	header := make([]connectors.Field, 1, 1+eventHeaders+len(c.Headers))
	header[0] = connectors.Field{Name: "Content-Type", Value: contentType}
	req := &connectors.Request{Method: http.MethodPost, Body: body, Header: header, Auth: c.auth(ev)}
	address, err := c.URL.Fill(ev)
	if err != nil {
		return nil, err
	}
	req.To(address)
	switch {
	case c.format() == BinaryCloudEvents:
		req.Header = append(req.Header, attributes(ev)...)
	case c.isRaw():
		req.Header = appendEventHeaders(req.Header, ev, c.Style())
	}
	if len(c.Headers) > 0 {
		for _, name := range slices.Sorted(maps.Keys(c.Headers)) { // sorted, so that Build is deterministic
			value, present, err := c.Headers[name].Fill(ev)
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

// eventHeaders is the number of headers that appendEventHeaders adds.
const eventHeaders = 3

func (c *Connector) auth(ev *event.Event) connectors.Auth {
	auth := connectors.SignedAuth{Signature: c.Style(), Secrets: c.Secrets, Event: ev.OrigType, EventID: ev.OrigID}
	if auth.Event == "" {
		auth.Event = ev.Type
	}
	if auth.EventID == "" {
		auth.EventID = ev.ID
	}
	if ev.Revision > 0 { // a receiver that drops known ids must not drop the corrected event
		auth.EventID += "." + strconv.Itoa(ev.Revision)
	}
	// Both come from the platform's body, and the style `chattosurvey` sends them as headers.
	auth.Event, auth.EventID = encode(auth.Event), encode(auth.EventID)
	return auth
}

// Style returns the effective signature: the setting, or else the preset's, or else `standard`.
func (c *Connector) Style() connectors.Signature {
	if !c.Signature.IsZero() {
		return c.Signature
	}
	if preset, ok := Presets[c.Preset]; ok {
		return preset.Signature
	}
	return Presets["standard"].Signature
}

// Judge retries 401, 403 and 404, because a receiver may be misconfigured or not deployed yet. A receiver that answers 410 asks
// not to be called again.
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
	case s == http.StatusGone: // for an address with holes, 410 concerns this event only
		return connectors.Verdict{Kind: connectors.Rejected, Reason: why, Gone: !c.URL.HasHoles()}
	case s == 401, s == 403, s == 404, s == 408, s == 425, s == 429:
		return connectors.TryAfter(res, why)
	case s >= 400 && s <= 499:
		return connectors.Reject(why)
	}
	return connectors.TryAfter(res, why)
}

// maxIncompleteDelay bounds IncompleteDelay.
const maxIncompleteDelay = 24 * time.Hour

// Validate requires a secret for a style that signs, and headers that an operator may set.
func (c *Connector) Validate() error {
	style := c.Style()
	switch {
	case !style.Unsigned() && len(c.Secrets) == 0:
		return connectors.Invalid("secrets", "is missing: receivers could not verify the sender; `surveygate secret` prints one, and `signature: none` needs none")
	case style.Unsigned() && len(c.Secrets) > 0:
		return connectors.Invalid("secrets", "would sign nothing: the signature is `"+style.Style+"`; leave one of them out")
	case len(c.Secrets) > 2:
		return connectors.Invalid("secrets", "has more than two; a rotation needs only the new one and the old one")
	case c.Delay < 0:
		return connectors.Invalid("delay", "is negative")
	case c.IncompleteDelay < 0:
		return connectors.Invalid("incomplete_delay", "is negative")
	case c.IncompleteDelay > maxIncompleteDelay:
		return connectors.Invalid("incomplete_delay", "is longer than 24h")
	case c.IncompleteDelay > 0 && !c.SendIncomplete:
		return connectors.Invalid("incomplete_delay", "has no effect without `send_incomplete`; add send_incomplete: true")
	}
	if c.LargeNumbers != "" && c.isRaw() {
		return connectors.Invalid("large_numbers", "changes nothing: `raw` sends the platform's own bytes; set `body`, or leave it out")
	}
	if c.LargeNumbers == AsNumbers && style.Style == "pollqr" {
		return connectors.Invalid("large_numbers", "would break the signature `pollqr`, whose receivers verify the body as JavaScript rewrites it; write `text` or `rounded`")
	}
	for i, secret := range c.Secrets {
		if secret.IsZero() {
			return connectors.Invalid("secrets", "has an empty secret")
		}
		if slices.Contains(c.Secrets[:i], secret) {
			return connectors.Invalid("secrets", "has the same secret twice")
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
			return connectors.Invalid("headers", "`"+name+"` is not the name of a header")
		case seen[key] != "":
			return connectors.Invalid("headers", "`"+seen[key]+"` and `"+name+"` are the same header")
		case key == "Host" || key == "Content-Length" || slices.Contains(framingHeaders, key):
			return connectors.Invalid("headers", "`"+name+"` is set by HTTP itself; leave it out")
		case isSignatureHeader(style, key):
			return connectors.Invalid("headers", "`"+name+"` belongs to the signature; leave it out")
		case strings.HasPrefix(strings.ToLower(key), event.AttributeHeader) && c.Body.Format == BinaryCloudEvents:
			return connectors.Invalid("headers", "`"+name+"` belongs to the CloudEvent; leave it out")
		}
		seen[key] = name
		if c.Headers[name].HasHoles() {
			continue
		}
		if err := connectors.CheckHeaderValue(c.Headers[name].Secret); err != nil {
			return connectors.Invalid("headers", "the value of `"+name+"` "+err.Error())
		}
	}
	return nil
}
