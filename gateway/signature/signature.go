// Package signature signs outgoing requests and verifies incoming ones, in every style of the gateway.
//
// Sign and Verify are the two directions of connectors.Signature: what a webhook is sent with, and how its
// receiver proves it. Scheme is the language in which a source's profile says how its platform signs.
package signature

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
)

// Tolerance is how far a signed timestamp may be from the receiver's clock, both ways.
const Tolerance = 5 * time.Minute

// Headers of every style.
const (
	headerID        = "webhook-id"
	headerTimestamp = "webhook-timestamp"
)

// Message is what is signed.
type Message struct {
	// ID is the delivery's, the same on every attempt. It holds no `.`, which separates what is signed.
	ID string
	// At is the time of this attempt.
	At time.Time
	// Body is exactly the bytes that are sent.
	Body []byte
	// EventName and EventID are the platform's own, for the style that carries them; without EventID it carries ID.
	EventName, EventID string
}

// ErrID is the error of Sign for a message whose id cannot be signed. Every other error of Sign is of the style or the
// secrets, the same for every message.
var ErrID = errors.New("sign: the id must be visible ASCII without a full stop")

// Sign returns the headers that go with a body: `webhook-id`, `webhook-timestamp` and those of the style.
// Secrets stand newest first: styles that carry several signatures carry one for each, the others the newest's.
// It is safe for concurrent use.
func Sign(sig connectors.Signature, secrets []connectors.Secret, m Message) ([]connectors.Field, error) {
	if m.ID == "" || strings.IndexFunc(m.ID, notInID) >= 0 {
		return nil, ErrID
	}
	at := strconv.FormatInt(m.At.Unix(), 10)
	fields := make([]connectors.Field, 2, 6)
	fields[0] = connectors.Field{Name: headerID, Value: m.ID}
	fields[1] = connectors.Field{Name: headerTimestamp, Value: at}

	s, err := styleOf(sig)
	if err != nil {
		return nil, err
	}
	if s.name == styleNone {
		return fields, nil
	}
	if s.name == styleChatToSurvey {
		id := m.EventID
		if id == "" {
			id = m.ID
		}
		return append(fields,
			connectors.Field{Name: "X-Webhook-Event", Value: m.EventName},
			connectors.Field{Name: "X-Webhook-ID", Value: id},
			connectors.Field{Name: "X-Webhook-Timestamp", Value: at},
			connectors.Field{Name: "User-Agent", Value: chatToSurveyAgent},
		), nil
	}
	if len(secrets) == 0 {
		return nil, fmt.Errorf("sign: style %s has no secret", s.name)
	}
	if !s.several {
		secrets = secrets[:1]
	}
	value, err := s.header(secrets, m.ID, at, m.Body)
	if err != nil {
		return nil, fmt.Errorf("sign: style %s: %w", s.name, err)
	}
	return append(fields, connectors.Field{Name: s.headerName, Value: value}), nil
}

func notInID(r rune) bool { return r <= ' ' || r > '~' || r == '.' }

// The names of the styles.
const (
	styleStandard     = "standard"
	styleEd25519      = "ed25519"
	stylePollQR       = "pollqr"
	stylePopsee       = "popsee"
	styleChatToSurvey = "chattosurvey"
	styleGitHub       = "github"
	styleStripe       = "stripe"
	styleNone         = "none"
	styleCustom       = "custom"
)

const chatToSurveyAgent = "HS-Webhook/1.0"

// style is a compiled way to sign.
type style struct {
	name       string
	headerName string
	several    bool // carries one signature for each secret
	algorithm  algorithm
	keyed      keyKind
	encoding   encoding
	signed     template // of {id} {timestamp} {body}
	value      template // of {signature} {id} {timestamp}
	separator  string   // between the values of several
	lead       template // before the first value
}

var (
	signedBody       = mustTemplate("{body}")
	signedTimeBody   = mustTemplate("{timestamp}.{body}")
	signedIDTimeBody = mustTemplate("{id}.{timestamp}.{body}")
)

// namedStyles are the styles that have a name.
var namedStyles = map[string]*style{
	styleStandard: {
		name: styleStandard, headerName: "webhook-signature", several: true, algorithm: sha256Hash, keyed: keyWhsec,
		encoding: base64Text, signed: signedIDTimeBody, value: mustTemplate("v1,{signature}"), separator: " ",
	},
	styleEd25519: {
		name: styleEd25519, headerName: "webhook-signature", several: true, keyed: keyWhsk,
		encoding: base64Text, signed: signedIDTimeBody, value: mustTemplate("v1a,{signature}"), separator: " ",
	},
	stylePollQR: {
		name: stylePollQR, headerName: "X-PollQR-Signature", algorithm: sha256Hash,
		encoding: hexText, signed: signedBody, value: mustTemplate("{signature}"),
	},
	stylePopsee: {
		name: stylePopsee, headerName: "X-Popsee-Signature", algorithm: sha256Hash,
		encoding: hexText, signed: signedBody, value: mustTemplate("sha256={signature}"),
	},
	styleGitHub: {
		name: styleGitHub, headerName: "X-Hub-Signature-256", algorithm: sha256Hash,
		encoding: hexText, signed: signedBody, value: mustTemplate("sha256={signature}"),
	},
	styleStripe: {
		name: styleStripe, headerName: "Stripe-Signature", several: true, algorithm: sha256Hash,
		encoding: hexText, signed: signedTimeBody, value: mustTemplate("v1={signature}"), separator: ",",
		lead: mustTemplate("t={timestamp},"),
	},
	styleChatToSurvey: {name: styleChatToSurvey},
	styleNone:         {name: styleNone},
}

// styleOf returns a named style, or compiles a custom one.
func styleOf(sig connectors.Signature) (*style, error) {
	name := sig.Style
	if name == "" && sig.Header == "" && sig.Value == "" && sig.Signed == "" {
		name = styleStandard
	}
	if s, ok := namedStyles[name]; ok {
		return s, nil
	}
	if name != "" && name != styleCustom {
		return nil, fmt.Errorf("`%s` is no signature style", name)
	}
	return customStyle(sig)
}

// header returns the value of the style's header: one signature for each secret.
func (s *style) header(secrets []connectors.Secret, id, at string, body []byte) (string, error) {
	var buf [512]byte
	out := s.lead.appendHeader(buf[:0], "", id, at)
	for i, secret := range secrets {
		if i > 0 {
			out = append(out, s.separator...)
		}
		text, err := s.sign(secret, id, at, body)
		if err != nil {
			return "", err
		}
		out = s.value.appendHeader(out, text, id, at)
	}
	return string(out), nil
}

// sign returns one signature as text.
func (s *style) sign(secret connectors.Secret, id, at string, body []byte) (string, error) {
	if s.keyed == keyWhsk {
		key, err := privateKey(secret)
		if err != nil {
			return "", err
		}
		return base64.StdEncoding.EncodeToString(ed25519.Sign(key, s.signed.append(nil, id, at, body))), nil
	}
	k, err := keys.find(s.algorithm, s.keyed, secret.Expose())
	if err != nil {
		return "", err
	}
	m := k.take()
	defer k.put(m)
	m.write(s.signed, id, at, body)
	return s.encoding.text(m.sum()), nil
}
