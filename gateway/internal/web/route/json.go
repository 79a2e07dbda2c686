package route

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// ReadJSON reads a body of one JSON object into a struct or a map. It refuses what it would otherwise ignore or change: a field that
// the struct does not have, also one that differs in its case alone, one that is there twice, and what is no text, such as half of
// a surrogate pair. The error names the place of each fault.
func ReadJSON(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return answer.NewProblem(fiber.StatusBadRequest, view.Validation, "the body is empty; send a JSON object")
	}
	body = bytes.Clone(body) // what is decoded may outlive the request, whose buffer is used again
	var tree any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&tree); err != nil || !json.Valid(body) {
		return notJSON(body, err)
	}
	if _, ok := tree.(map[string]any); !ok {
		return answer.Invalid("the body must be a JSON object, and is " + article(tree))
	}
	if !utf8.Valid(body) {
		return answer.NewProblem(fiber.StatusBadRequest, view.Validation, "the body is not UTF-8; send a JSON object")
	}
	var faults []view.Detail
	lossy(jsonpath.Parse(body), nil, &faults)
	unfit(tree, reflect.TypeOf(into), nil, &faults)
	if len(faults) > 0 {
		return &answer.Problem{Status: fiber.StatusUnprocessableEntity, Detail: faults}
	}
	err := json.Unmarshal(body, into)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		kind, number, _ := strings.Cut(wrong.Value, " ")
		var loc []string
		if wrong.Field != "" {
			loc = strings.Split(wrong.Field, ".")
		}
		return answer.Invalid(strings.TrimSpace("this "+kind+" "+number[:min(len(number), 40)])+" does not fit here", loc...)
	}
	if err != nil {
		return answer.Invalid("the body cannot be read: " + strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// notJSON is the answer to a body that is not one JSON value.
func notJSON(body []byte, err error) error {
	msg := "the body is not JSON"
	if wrong, ok := errors.AsType[*json.SyntaxError](err); ok && wrong.Offset > 0 && wrong.Offset <= int64(len(body)) {
		msg += ", from byte " + strconv.FormatInt(wrong.Offset, 10)
	}
	if err == nil {
		msg = "the body is more than one JSON value"
	}
	return answer.NewProblem(fiber.StatusBadRequest, view.Validation, msg+"; send a JSON object")
}

var (
	decodesJSON = reflect.TypeFor[json.Unmarshaler]()
	decodesText = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// maxFaults bounds the faults of one answer.
const maxFaults = 20

// maxDepth bounds the levels of a body, so that to check it takes time by its size alone.
const maxDepth = 64

// lossy adds the faults of what a decoder drops or replaces: members of an object that are there twice, and strings that are no text.
func lossy(value jsonpath.Result, loc []string, faults *[]view.Detail) {
	kind := value.Kind()
	switch {
	case len(*faults) == maxFaults:
	case kind == jsonpath.String && !value.IsText():
		*faults = append(*faults, fault("this is no text: it holds half of a surrogate pair", loc))
	case kind != jsonpath.Object && kind != jsonpath.Array:
	case len(loc) == maxDepth:
		*faults = append(*faults, fault("values are nested more than "+strconv.Itoa(maxDepth)+" levels deep", loc[:1]))
	default:
		seen, n := map[string]bool{}, 0
		value.ForEach(func(name string, value jsonpath.Result) bool {
			if kind == jsonpath.Array {
				name = strconv.Itoa(n)
			}
			if n++; seen[name] && len(*faults) < maxFaults {
				*faults = append(*faults, fault("`"+name+"` is written twice here; keep one", append(loc, name)))
			}
			seen[name] = true
			lossy(value, append(loc, name), faults)
			return len(*faults) < maxFaults
		})
	}
}

// unfit adds the faults of a JSON value that is to be decoded as a type. null fits everywhere: it leaves the default.
func unfit(value any, t reflect.Type, loc []string, faults *[]view.Detail) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if value == nil || len(*faults) == maxFaults || reflect.PointerTo(t).Implements(decodesJSON) {
		return
	}
	wants, fits := "", true
	switch kind := t.Kind(); {
	case reflect.PointerTo(t).Implements(decodesText), kind == reflect.String:
		wants = "a text"
		_, fits = value.(string)
	case kind == reflect.Bool:
		wants = "true or false"
		_, fits = value.(bool)
	case kind >= reflect.Int && kind <= reflect.Uint64:
		wants = "a whole number"
		number, _ := value.(json.Number)
		fits = number != "" && !strings.ContainsAny(string(number), ".eE")
	case kind == reflect.Float32, kind == reflect.Float64:
		wants = "a number"
		_, fits = value.(json.Number)
	case kind == reflect.Slice:
		list, ok := value.([]any)
		if wants, fits = "a list", ok; fits {
			for i, item := range list {
				unfit(item, t.Elem(), append(loc, strconv.Itoa(i)), faults)
			}
		}
	case kind == reflect.Map, kind == reflect.Struct:
		members, ok := value.(map[string]any)
		if wants, fits = "an object", ok; fits {
			unfitMembers(members, t, loc, faults)
		}
	}
	if !fits {
		*faults = append(*faults, fault("this must be "+wants+", and is "+article(value), loc))
	}
}

func unfitMembers(members map[string]any, t reflect.Type, loc []string, faults *[]view.Detail) {
	var fields map[string]reflect.Type
	if t.Kind() == reflect.Struct {
		fields = fieldsOf(t)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		field, known := fields[name]
		switch {
		case fields == nil:
			field = t.Elem()
		case !known:
			*faults = append(*faults, fault(unknownField(name, slices.Sorted(maps.Keys(fields))), append(loc, name)))
			if len(*faults) == maxFaults {
				return
			}
			continue
		}
		unfit(members[name], field, append(loc, name), faults)
	}
}

// fieldsOf returns the fields of a struct by their names in JSON.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported() || f.Anonymous && name == "":
		case name == "":
			fields[f.Name] = f.Type
		default:
			fields[name] = f.Type
		}
	}
	return fields
}

func unknownField(name string, fields []string) string {
	msg := "`" + name + "` is not a field here"
	if near := event.Nearest(name, fields); near != "" {
		return msg + "; did you mean `" + near + "`?"
	}
	return msg + "; one of: " + strings.Join(fields, ", ")
}

func fault(msg string, loc []string) view.Detail {
	return view.Detail{Msg: msg, Type: view.Validation, Loc: slices.Clone(loc)}
}

// article names the kind of a JSON value.
func article(value any) string {
	switch value.(type) {
	case string:
		return "a text"
	case bool:
		return "true or false"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	}
	return "null"
}
