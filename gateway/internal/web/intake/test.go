package intake

import (
	"errors"
	"net/netip"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// TestRequest is a request that a source reads without accepting it.
type TestRequest struct {
	Body        []byte
	ContentType string
	// Headers are in any case.
	Headers, Query map[string]string
	// Token is the path token; nil: the right one.
	Token *string
}

// Test reports how a source reads a request: whether it is proved, the events, and the places of the body that are not read. Nothing
// is kept or counted. The address of the sender is assumed to be an allowed one. stop ends the search for places that are not read.
func (d *Door) Test(s *config.Source, t TestRequest, stop func() bool) (*view.SourceTested, error) {
	receiver, now := s.Receiver, d.Clock.Now()
	req := &source.Request{
		Method: fiber.MethodPost, Token: receiver.PathToken.Expose(), // compared with itself
		Header: func(name string) string { return valueOf(t.Headers, name, strings.EqualFold) },
		Query:  func(name string) string { return t.Query[name] },
		Body:   t.Body, ContentType: t.ContentType, Received: now,
	}
	if t.Token != nil {
		req.Token = *t.Token
	}
	if len(receiver.AllowFrom) > 0 {
		req.Remote = receiver.AllowFrom[0].Addr()
	} else {
		req.Remote = netip.IPv4Unspecified()
	}
	x, err := receiver.Examine(req, now, stop)
	if err != nil {
		return nil, err
	}
	v := &view.SourceTested{
		Profile: receiver.Profile.Name, Proved: x.Proved, Checks: []source.Check{}, Status: fiber.StatusOK,
		Events: []view.TestedEvent{}, Unmapped: []source.Unread{}, Incomplete: x.Incomplete,
	}
	mask := newMask(receiver, req)
	for _, check := range x.Checks {
		if check.Kind == "address" {
			continue
		}
		check.Signed, check.Given = mask.text(check.Signed), mask.text(check.Given)
		v.Checks = append(v.Checks, check)
	}
	if x.Err != nil {
		problem := unreadable(x.Err).problem
		v.Status, v.Error = problem.Status, problem.Detail[0].Msg
		if !isExpected(x.Err) {
			v.Error = mask.text(x.Err.Error())
		}
	}
	if x.Refused {
		v.Status = fiber.StatusUnauthorized
	}
	for _, ev := range x.Events {
		data := ev.Data()
		v.Events = append(v.Events, view.TestedEvent{Type: ev.Type, Envelope: ev.Envelope(), Warnings: data.Warnings, Unread: data.Unread})
	}
	v.Unmapped = append(v.Unmapped, x.Unread...)
	return v, nil
}

// isExpected reports whether the answer to a platform names a fault of the body.
func isExpected(err error) bool {
	for _, known := range []error{source.ErrNotJSON, source.ErrTooManyEvents, source.ErrTooManyAnswers, source.ErrTooDeep} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

func valueOf(values map[string]string, name string, same func(a, b string) bool) string {
	for key, value := range values {
		if same(key, name) {
			return value
		}
	}
	return ""
}
