package event

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// Defaults holds what the receiver of a published event knows about it.
type Defaults struct {
	// Tenant is the owner of the event; empty means DefaultTenant.
	Tenant string
	// AnyTenant allows the event to name its tenant. Without it, naming a tenant other than Tenant is an error.
	AnyTenant bool
	// Source is the source of an event that names none; empty means DefaultSource.
	Source string
	// Type is the type of an event that names none; if it is empty, the event must name one.
	Type string
	// Received is the time of receipt; required.
	Received time.Time
	// Verified is the proof of the publisher: `token` for the gateway's API (see Header.Verified).
	Verified string
	// Notices allows what only the gateway itself makes: events of NoticeTypes, for looking at rules that get them. Such an event must
	// not be stored.
	Notices bool
}

// ParseOne parses an event in the gateway's own JSON format: either the data at top level, where Shortcuts are allowed, or a
// structured CloudEvent with the same data in its member `data`. The body is kept and must not be changed. The error is a
// *FieldError, or wraps ErrNotJSON, ErrTooDeep or ErrTooManyAnswers.
func ParseOne(body []byte, d Defaults) (*Event, error) {
	if err := check(body); err != nil {
		return nil, err
	}
	return parse(body, d)
}

func parse(body []byte, d Defaults) (*Event, error) {
	p := parser{event: jsonpath.Parse(body), kind: "application/json", notices: d.Notices}
	if p.event.Kind() != jsonpath.Object {
		return nil, &FieldError{Path: "event", Problem: "must be an object, not " + p.event.Kind().String()}
	}
	cloud := false
	p.event.Each(func(key []byte, _ jsonpath.Result) bool {
		cloud = string(key) == "specversion"
		return !cloud
	})
	var err error
	if cloud {
		err = p.cloudEvent()
	} else {
		err = p.object("", schema, p.event)
	}
	if err != nil {
		return nil, err
	}
	return p.finish(body, d)
}

// parser holds the state of parsing one event.
type parser struct {
	event   jsonpath.Result
	data    Data
	head    [5]string // headKeys as the event gives them
	given   [5]bool
	seen    uint64 // nodes that were visited
	at      string // the path of the data in the body: empty, or `data.`
	kind    string // content type
	cloud   bool
	notices bool    // Defaults.Notices
	bare    string  // the first required attribute that a CloudEvent lacks
	own     *Header // the attributes that an envelope of ours has beside those; nil without any

	answersAt, leadsAt []string
}

var headKeys = []string{"type", "id", "time", "tenant", "source"}

// Indexes of headKeys.
const (
	givenType = iota
	givenID
	givenTime
	givenTenant
	givenSource
)

// object reads the members of a group. The root has header keys and shortcuts too.
func (p *parser) object(path string, n *node, v jsonpath.Result) (err error) {
	v.Each(func(key []byte, v jsonpath.Result) bool {
		err = p.member(path, string(key), n, v)
		return err == nil
	})
	return err
}

func (p *parser) member(path, key string, n *node, v jsonpath.Result) error {
	next := n.index[key]
	written := key
	if n != schema && next != nil {
		written = next.Path // a group has no shortcuts, so its members have their full path
	}
	if n == schema && next == nil {
		if i := slices.Index(headKeys, key); i >= 0 {
			return p.header(i, v)
		}
		if long, ok := Shortcuts[key]; ok {
			group, leaf, _ := strings.Cut(long, ".")
			next = schema.index[group]
			for more := true; more; {
				group, leaf, more = strings.Cut(leaf, ".")
				next = next.index[group]
			}
		}
		if key == "raw" && p.cloud && v.Kind() == jsonpath.Object {
			return nil // the gateway's own envelope, published again: its `raw` describes other bytes
		}
	}
	switch {
	case next == nil:
		return p.unknown(path, key, n)
	case next.Path == pathNotice && !p.notices:
		return &FieldError{Path: pathNotice, Problem: "is kept for the gateway's own notices"}
	case next.whole && p.cloud:
		return nil // the gateway's own envelope, published again
	case next.whole:
		return &FieldError{Path: next.Path, Problem: "is known of a response as a whole, and of no single event"}
	case p.seen&next.bit != 0:
		problem := "stands twice"
		if written != next.Path {
			problem = "stands twice: it is `" + next.Path + "`"
		}
		return &FieldError{Path: written, Problem: problem}
	}
	p.seen |= next.bit
	if next.index != nil {
		switch v.Kind() {
		case jsonpath.Null:
			return nil
		case jsonpath.Object:
			return p.object(written, next, v)
		}
		return wrong(written, "an object", v)
	}
	switch next.special {
	case answers:
		p.answersAt = []string{p.at + written}
	case leads:
		p.leadsAt = []string{p.at + written}
	}
	return next.set(&p.data, written, v, false)
}

func (p *parser) unknown(path, key string, n *node) error {
	known := make([]string, 0, len(n.below)+len(Shortcuts)+len(headKeys))
	for _, b := range n.below {
		if b.Path != pathNotice && !b.whole {
			known = append(known, b.name)
		}
	}
	if n == schema {
		known = append(known, headKeys...)
		for _, name := range names {
			if _, ok := Shortcuts[name]; ok {
				known = append(known, name)
			}
		}
	}
	fault := unknown(path, key, known)
	if fault.Nearest == "" || fault.Nearest == key {
		// The key may belong to another group: `title` is survey.title.
		fault.Nearest = ""
		for i := range leaves {
			if !strings.HasPrefix(leaves[i].Path, pathNotice+".") && !leaves[i].whole && leaves[i].Path[strings.LastIndexByte(leaves[i].Path, '.')+1:] == key {
				fault.Nearest = leaves[i].Path
				break
			}
		}
	} else if path != "" {
		fault.Nearest = path + "." + fault.Nearest
	}
	return fault
}

// header sets one of headKeys. In a CloudEvent, the attributes come first and take precedence over the data.
func (p *parser) header(i int, v jsonpath.Result) error {
	if v.Kind() == jsonpath.Null {
		return nil
	}
	text, err := textOf(v, headKeys[i], i == givenID)
	if err != nil {
		return err
	}
	if !v.IsText() {
		return NotTextError(headKeys[i])
	}
	if p.given[i] {
		if p.cloud {
			return nil
		}
		return &FieldError{Path: headKeys[i], Problem: "stands twice"}
	}
	p.head[i], p.given[i] = text, true
	return nil
}

// finish returns the parsed event.
func (p *parser) finish(body []byte, d Defaults) (*Event, error) {
	if p.bare != "" {
		return nil, &FieldError{Path: p.bare, Problem: "is missing, which every CloudEvent has"}
	}
	h := Header{Tenant: d.Tenant, Source: d.Source, SourceKind: DefaultSource, Type: d.Type, Received: d.Received, Verified: d.Verified}
	if h.Tenant == "" {
		h.Tenant = DefaultTenant
	}
	if t := p.head[givenType]; t != "" {
		h.Type = t
	}
	if err := checkType(h.Type); err != nil && !(d.Notices && slices.Contains(NoticeTypes, h.Type)) {
		return nil, err
	}
	if t := p.head[givenTenant]; t != "" && t != h.Tenant {
		switch {
		case !d.AnyTenant:
			return nil, &FieldError{Path: "tenant", Problem: "is not the one that this token publishes for"}
		case !validName(t):
			return nil, badName("tenant")
		}
		h.Tenant = t
	}
	h.OrigID = p.head[givenID]
	h.DedupeKey = h.OrigID
	if s := p.head[givenSource]; s != "" {
		switch {
		case validName(s):
			h.Source = s
		case p.cloud:
			// A CloudEvent's source may be any URI, and its id is unique only together with the source.
			// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#source-1
			if h.DedupeKey != "" {
				h.DedupeKey = cloudKey(s, h.DedupeKey)
			}
		default:
			return nil, badName("source")
		}
	}
	if cmp.Or(h.Source, DefaultSource) != cmp.Or(d.Source, DefaultSource) && h.space() == provedSpace {
		h.Verified = VerifiedAPI // the publisher is proved, but not the source that the event names
	}
	if t := p.head[givenTime]; t != "" {
		var ok bool
		if h.Time, ok = ParseTime(t, nil); !ok {
			p.data.Warn("time left out: no time that can be read")
		}
	}
	raw := Raw{ContentType: p.kind, Body: body, AnswersAt: p.answersAt, LeadsAt: p.leadsAt}
	sum := sha256.Sum256(body)
	raw.SHA256 = hex.EncodeToString(sum[:])
	switch {
	case p.isOurs(&h):
		h.DedupeKey, h.OrigID, h.OrigType = p.own.DedupeKey, p.own.OrigID, p.own.OrigType
		if validName(p.own.SourceKind) {
			h.SourceKind = p.own.SourceKind
		}
	case h.Type == TypeTest:
		if h.DedupeKey == "" {
			h.DedupeKey = raw.SHA256
		}
		h.DedupeKey = TestDedupeKey(h.DedupeKey, h.Received)
	}
	return New(h, &p.data, raw)
}

func checkType(t string) error {
	switch {
	case t == "":
		return &FieldError{Path: "type", Problem: "is missing"}
	case !IsCanonical(t):
		return &FieldError{Path: "type", Problem: "is not a canonical type", Nearest: Nearest(t, Types)}
	case strings.HasPrefix(t, GatewayPrefix):
		return &FieldError{Path: "type", Problem: "is kept for the gateway's own notices"}
	}
	return nil
}

func badName(field string) error {
	return &FieldError{Path: field, Problem: "must be a name: small letters, digits, - and _, with a letter or digit first"}
}

// validName reports whether s matches [a-z0-9][a-z0-9_-]* and has at most 128 bytes.
func validName(s string) bool {
	return s != "" && len(s) <= 128 && s[0] != '-' && s[0] != '_' &&
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}
