package stream

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// MaxEntry bounds the field `event` or `body` of an entry, as it does a platform's body.
const MaxEntry = 1 << 20

// The fields that are read of an entry. Others are ignored.
const (
	fieldEvent   = "event"
	fieldBody    = "body"
	fieldHeaders = "headers"
)

// maxReads is how many reads of an entry may end without an acknowledgement. After that it becomes a dead letter unread, as its
// content may crash its readers.
const maxReads = 5

// read reads the events of an entry with its source. An error is permanent: the entry cannot be read until the source is
// changed.
func read(s *config.Source, e entry, now time.Time) (events []*event.Event, err error) {
	if e.Reads > maxReads {
		return nil, fmt.Errorf("given out %d times and never acknowledged: each time its reader stopped before it was done, "+
			"or lost the connection to Redis; replay it if nothing is wrong with it", e.Reads-1)
	}
	defer func() {
		if r := recover(); r != nil {
			events, err = nil, fmt.Errorf("reading it panicked: %v", r)
		}
	}()
	own, isOwn := e.Fields[fieldEvent]
	body, isBody := e.Fields[fieldBody]
	switch {
	case isOwn && isBody:
		return nil, errors.New("it has both `event` and `body`: one of them is wanted")
	case !isOwn && !isBody:
		return nil, errors.New("it has neither `event` nor `body`" + butHas(e.Fields))
	case len(own)+len(body) > MaxEntry:
		return nil, fmt.Errorf("it has %d bytes, and an event has at most 1 MiB", len(own)+len(body))
	case isOwn:
		return ownEvent(s, own, now)
	case s.Stream != nil && s.Stream.Bare:
		return nil, errors.New("it has `body`, and its source has no profile to read one")
	}
	return platformBody(s, e, []byte(body), now)
}

// butHas names some of the fields, to show a misspelt one.
func butHas(fields map[string]string) string {
	var names []string
	for name := range fields {
		names = append(names, strconv.Quote(clip(name, 32)))
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	if len(names) > 5 {
		names = append(names[:5], "…")
	}
	return ", but " + strings.Join(names, ", ")
}

func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// ownEvent reads an event in the gateway's JSON. Its tenant is that of the source.
func ownEvent(s *config.Source, text string, now time.Time) ([]*event.Event, error) {
	ev, err := event.ParseOne([]byte(text), event.Defaults{
		Tenant: s.Tenant, Source: s.Name, Received: now, Verified: source.KindNone,
	})
	var field *event.FieldError
	if errors.As(err, &field) && field.Path == "tenant" {
		return nil, fmt.Errorf("`tenant` is not its source's, which is %s", s.Tenant)
	}
	if err != nil {
		return nil, err
	}
	return []*event.Event{ev}, nil
}

// platformBody reads a platform's body. If the entry has headers and the source has secrets, the headers must prove the body.
func platformBody(s *config.Source, e entry, body []byte, now time.Time) ([]*event.Event, error) {
	headers, err := headersOf(e.Fields)
	if err != nil {
		return nil, err
	}
	req := &source.Request{
		Method: "POST", Body: body, ContentType: headers.get("Content-Type"), Received: now,
		Header:      headers.get,
		HeaderTwice: func(name string) bool { return headers != nil && headers.twice[strings.ToLower(name)] },
		Verified:    source.Verified{Kind: source.KindNone},
	}
	if s.Stream != nil && s.Stream.Headers && headers != nil {
		// A time in a signature is compared with when the entry was added: it may have been in the stream for long.
		req.Received = added(e.ID, now)
		if _, err := s.Receiver.Verify(req); err != nil {
			return nil, err
		}
		req.Received = now
	}
	return s.Receiver.Normalise(req, now)
}

// headers are the headers of an entry, by lower-case names.
type headers struct {
	first map[string]string
	twice map[string]bool // names with more than one value
}

// headersOf parses an entry's headers; nil if it has none.
func headersOf(fields map[string]string) (*headers, error) {
	text, ok := fields[fieldHeaders]
	if !ok {
		return nil, nil
	}
	object := jsonpath.Parse([]byte(text))
	if !jsonpath.Valid([]byte(text)) || object.Kind() != jsonpath.Object {
		return nil, errors.New("`headers` is not a JSON object")
	}
	all := &headers{map[string]string{}, map[string]bool{}}
	var wrong error
	object.ForEach(func(name string, value jsonpath.Result) bool {
		values := []jsonpath.Result{value}
		if value.Kind() == jsonpath.Array {
			values = nil
			value.ForEach(func(_ string, one jsonpath.Result) bool { values = append(values, one); return true })
		}
		for _, one := range values {
			if one.Kind() != jsonpath.String || !one.IsText() {
				wrong = errors.New("`headers` holds a value that is no text")
				return false
			}
			all.add(strings.ToLower(name), one.Text())
		}
		if len(values) == 0 {
			wrong = errors.New("`headers` holds a value that is no text")
		}
		return wrong == nil
	})
	if wrong != nil {
		return nil, wrong
	}
	return all, nil
}

func (h *headers) add(name, value string) {
	if _, known := h.first[name]; known {
		h.twice[name] = true
		return
	}
	h.first[name] = value
}

// get returns the first value of a header.
func (h *headers) get(name string) string {
	if h == nil {
		return ""
	}
	return h.first[strings.ToLower(name)]
}

// added returns when an entry was added, from an ID that Redis made, which begins with milliseconds; otherwise now.
func added(id string, now time.Time) time.Time {
	text, _, _ := strings.Cut(id, "-")
	ms, err := strconv.ParseInt(text, 10, 64)
	at := time.UnixMilli(ms)
	if err != nil || at.After(now) || now.Sub(at) > 366*24*time.Hour {
		return now
	}
	return at
}
