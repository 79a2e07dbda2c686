package compat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// fields are the members of the platform's object.
var fields = []string{"id", "name", "url", "events", "headers", "isActive"}

// body is a JSON object that a client sent, whatever its content type. Each read adds what is wrong to faults, so that a client learns of
// all of it at once.
type body struct {
	members map[string]json.RawMessage
	faults  []view.Detail
}

// read reads an object. Members that are not in names are ignored, as clients send back what other servers gave them, unless they look
// like a misspelt one: `isactive: false` would otherwise switch a webhook on.
func read(text []byte, names []string) (*body, error) {
	b := &body{}
	text = jsonpath.TrimBOM(text)
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, unreadable("the body is empty; it must be a JSON object")
	}
	if !jsonpath.Valid(text) {
		return nil, unreadable("the body is not JSON")
	}
	if err := json.Unmarshal(text, &b.members); err != nil || b.members == nil {
		return nil, unreadable("the body must be a JSON object")
	}
	var refused []view.Detail
	for _, name := range slices.Sorted(maps.Keys(b.members)) {
		if slices.Contains(names, name) {
			continue
		}
		for _, known := range names {
			if strings.EqualFold(known, name) || event.Nearest(name, []string{known}) != "" {
				refused = append(refused, view.Detail{Msg: fmt.Sprintf("`%s` is not a field; did you mean `%s`?", name, known), Type: view.Validation, Loc: []string{name}})
				break
			}
		}
	}
	if refused != nil {
		return nil, &answer.Problem{Status: fiber.StatusUnprocessableEntity, Detail: refused}
	}
	return b, nil
}

func unreadable(msg string, loc ...string) error {
	return answer.NewProblem(fiber.StatusBadRequest, view.Validation, msg, loc...)
}

func (b *body) fault(msg string, loc ...string) {
	b.faults = append(b.faults, view.Detail{Msg: msg, Type: view.Validation, Loc: loc})
}

// err returns the 400 of all faults; nil without any.
func (b *body) err() error {
	if b.faults == nil {
		return nil
	}
	return &answer.Problem{Status: fiber.StatusBadRequest, Detail: b.faults}
}

// has reports whether a member is there and not null.
func (b *body) has(name string) bool {
	value, there := b.members[name]
	return there && string(value) != "null"
}

// required reads a member of a type, which what describes.
func required[T any](b *body, name, what string) (value T) {
	if !b.has(name) {
		b.fault("`"+name+"` is missing", name)
		return value
	}
	return optional[T](b, name, what)
}

// optional is required for a member that may be absent or null.
func optional[T any](b *body, name, what string) (value T) {
	if b.has(name) && json.Unmarshal(b.members[name], &value) != nil {
		b.fault("`"+name+"` must be "+what, name)
	}
	return value
}

// url reads an address. Whether it may be reached is decided later. kept is accepted whatever it is.
func (b *body) url(kept string) string {
	before := len(b.faults)
	text := required[string](b, "url", "text")
	if len(b.faults) > before || text != "" && text == kept {
		return text
	}
	if u, err := url.Parse(text); err != nil || u.Scheme == "" || u.Host == "" {
		b.fault("Invalid URL format", "url")
	}
	return text
}

// list reads a list of texts.
func (b *body) list(name string) []string {
	const what = "a list of texts"
	items := required[[]*string](b, name, what)
	all := make([]string, 0, len(items))
	for _, item := range items {
		if item == nil {
			b.fault("`"+name+"` must be "+what, name)
			return nil
		}
		all = append(all, *item)
	}
	return all
}

// texts reads a mapping of texts.
func (b *body) texts(name string) map[string]string {
	all := map[string]string{}
	for key, value := range optional[map[string]*string](b, name, "an object whose values are texts") {
		if value == nil {
			b.fault("`"+key+"` must be text", name, key)
			continue
		}
		all[key] = *value
	}
	return all
}
