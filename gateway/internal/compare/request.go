package compare

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

const (
	// maxFields bounds what is named of one request, maxValue the text of one value.
	maxFields = 20
	maxValue  = 200
)

// differentRequests returns what differs between two deliveries that are both sent; nil: nothing does. Secrets are masked, so that
// requests which differ in them alone are the same.
func differentRequests(was, is *ending, now time.Time) []view.PlanField {
	f := &fields{}
	if a, b := was.owed.Delivery.Destination, is.owed.Delivery.Destination; a != b {
		f.add("destination", a, b)
	}
	if a, b := was.owed.Delivery.Connector, is.owed.Delivery.Connector; a != b {
		f.add("connector", a, b)
	}
	if a, b := wait(was.owed, now), wait(is.owed, now); a != b {
		f.add("due", after(a), after(b))
	}
	a, b := was.built.Request, is.built.Request
	if a == nil || b == nil || sameRequest(a, b) {
		return f.all
	}
	f.secrets = append(outbound.Secrets(a), outbound.Secrets(b)...)
	if a.Method != b.Method {
		f.add("method", a.Method, b.Method)
	}
	f.change("url", address(a), address(b))
	f.headers(a.Header, b.Header)
	f.body(a.Body, b.Body)
	return f.all
}

// after returns a wait in words.
func after(d time.Duration) string {
	if d == 0 {
		return "at once"
	}
	return "after " + d.String()
}

// sameRequest reports whether two requests are alike without their secrets.
func sameRequest(a, b *connectors.Request) bool {
	if a.Method != b.Method || address(a) != address(b) || !bytes.Equal(a.Body, b.Body) || len(a.Header) != len(b.Header) {
		return false
	}
	for i := range a.Header {
		x, y := &a.Header[i], &b.Header[i]
		if x.Name != y.Name || x.Secret != y.Secret || !x.Secret && x.Value != y.Value {
			return false
		}
	}
	return true
}

// address returns the URL of a request; a secret one is masked.
func address(r *connectors.Request) string {
	if _, secret := r.Auth.(connectors.AddressAuth); r.URL == "" && (secret || !r.Address.IsZero()) {
		return connectors.Hidden
	}
	return r.URL
}

// alike is how much of two long values is shown before they differ.
const alike = 20

// fromDifference leaves out most of what two values begin with alike, so that what is shown of them differs.
func fromDifference(a, b string) (x, y string) {
	was, is := []rune(a), []rune(b)
	n := 0
	for n < len(was) && n < len(is) && was[n] == is[n] {
		n++
	}
	if n <= 2*alike {
		return a, b
	}
	return "…" + string(was[n-alike:]), "…" + string(is[n-alike:])
}

// fields collects what differs.
type fields struct {
	all     []view.PlanField
	secrets []connectors.Secret
}

// masked returns a text without the secrets of both requests, and short.
func (f *fields) masked(text string) *string {
	clipped := clip(string(outbound.Cut([]byte(text), f.secrets)))
	return &clipped
}

func clip(text string) string {
	if utf8.RuneCountInString(text) <= maxValue {
		return text
	}
	return string([]rune(text)[:maxValue-1]) + "…"
}

func (f *fields) add(path, was, is string) { f.put(path, &was, &is) }

// put adds a value that differs; nil: there is none.
func (f *fields) put(path string, was, is *string) {
	if len(f.all) == maxFields {
		return
	}
	field := view.PlanField{Path: clip(path)}
	if was != nil && is != nil {
		a, b := fromDifference(string(outbound.Cut([]byte(*was), f.secrets)), string(outbound.Cut([]byte(*is), f.secrets)))
		was, is = &a, &b
	}
	if was != nil {
		field.Old = f.masked(*was)
	}
	if is != nil {
		field.New = f.masked(*is)
	}
	if field.Old != nil && field.New != nil && *field.Old == *field.New { // it differs behind what is shown
		*field.New += " (another value)"
	}
	f.all = append(f.all, field)
}

func (f *fields) change(path, was, is string) {
	if was != is {
		f.add(path, was, is)
	}
}

// headers compares headers by their names. Of several with one name, those of the same place are compared.
func (f *fields) headers(was, is []connectors.Field) {
	type place struct {
		name string
		n    int
	}
	places := func(all []connectors.Field) (order []place, values map[place]string) {
		values, seen := map[place]string{}, map[string]int{}
		for _, h := range all {
			at := place{strings.ToLower(h.Name), seen[strings.ToLower(h.Name)]}
			seen[at.name]++
			if values[at] = h.Value; h.Secret {
				values[at] = connectors.Hidden
			}
			order = append(order, at)
		}
		return order, values
	}
	before, old := places(was)
	after, new_ := places(is)
	for _, at := range before {
		a, b := old[at], new_[at]
		if _, there := new_[at]; !there {
			f.put("header."+at.name, &a, nil)
		} else if a != b {
			f.add("header."+at.name, a, b)
		}
	}
	for _, at := range after {
		if _, there := old[at]; !there {
			b := new_[at]
			f.put("header."+at.name, nil, &b)
		}
	}
}

// body compares bodies: JSON by its paths, and anything else as a whole.
func (f *fields) body(was, is []byte) {
	if bytes.Equal(was, is) {
		return
	}
	a, isJSON := tree(was)
	b, too := tree(is)
	if !isJSON || !too {
		f.add("body", string(was), string(is))
		return
	}
	f.values([]string{"body"}, a, b)
}

// tree parses a body; false: it is not JSON.
func tree(body []byte) (v any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil, false
	}
	_, err := d.Token()
	return v, errors.Is(err, io.EOF)
}

// values compares two values of bodies, down to their leaves.
func (f *fields) values(path []string, a, b any) {
	if len(f.all) == maxFields {
		return
	}
	switch x := a.(type) {
	case map[string]any:
		if y, ok := b.(map[string]any); ok {
			for _, key := range keysOf(x, y) {
				f.values(append(slices.Clip(path), key), valueOf(x, key), valueOf(y, key))
			}
			return
		}
	case []any:
		if y, ok := b.([]any); ok {
			for i := range max(len(x), len(y)) {
				f.values(append(slices.Clip(path), strconv.Itoa(i)), itemOf(x, i), itemOf(y, i))
			}
			return
		}
	default:
		if a == b {
			return
		}
	}
	f.put(document.JoinPath(path), text(a), text(b))
}

// text returns a value as it is shown; nil for one that is absent.
func text(v any) *string {
	switch v := v.(type) {
	case absent:
		return nil
	case string:
		return &v
	}
	encoded, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	s := string(encoded)
	return &s
}
