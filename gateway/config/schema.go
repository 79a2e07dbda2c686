package config

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/webhook"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/signature"
	"github.com/surveygate/surveygate/rules/expression"
)

// Schema returns a JSON Schema (2020-12) of a configuration file, for editors. It is derived from the structs that files are
// bound to and from all registered connectors. doc returns the comment of a struct's field; types are named as Go prints them
// (`slack.Account`, `config.ruleSettings`). It may be nil.
func Schema(doc func(typeName, field string) string) ([]byte, error) {
	if doc == nil {
		doc = func(string, string) string { return "" }
	}
	s := &schema{doc: doc, defs: object{}}
	root := s.structure(reflect.TypeFor[fileSettings]())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "surveygate configuration"
	root["$defs"] = s.defs
	return json.MarshalIndent(root, "", "  ")
}

type object = map[string]any

// schema builds the schemas of types. Those of connectors are stored in $defs, because connections and steps share them.
type schema struct {
	doc  func(typeName, field string) string
	defs object
}

// scalarOrHole accepts a value of a form, or a ${NAME}.
func scalarOrHole(form object) object {
	return object{"anyOf": []any{form, object{"type": "string", "pattern": `\$\{`}}}
}

func words(list ...string) object { return object{"enum": list} }

const durationPattern = `^([0-9.]+d)?([0-9.]+(ns|us|µs|ms|s|m|h))*$`

// form returns the schema of a type that parses its own text; nil for other types.
func (s *schema) form(t reflect.Type) object {
	text := object{"type": "string"}
	switch t {
	case reflect.TypeFor[later]():
		return object{"not": object{}}
	case reflect.TypeFor[redisSettings]():
		return object{"anyOf": []any{object{"type": "string", "pattern": `^rediss?://|\$\{`, "writeOnly": true}, s.structure(t)}}
	case reflect.TypeFor[settleSettings]():
		return object{"anyOf": []any{s.form(reflect.TypeFor[time.Duration]()), s.structure(t)}}
	case reflect.TypeFor[dayTime]():
		return object{"type": "string", "pattern": `^[0-2]?[0-9]:[0-5][0-9]$|\$\{`, "examples": []string{"22:00"}}
	case reflect.TypeFor[overLimit]():
		return words("skip", "digest")
	case reflect.TypeFor[capBy]():
		return words("respondent")
	case reflect.TypeFor[consoleSettings]():
		return object{"anyOf": []any{words(consoleOn, consoleOff), s.structure(t)}}
	case reflect.TypeFor[time.Duration]():
		return object{"type": "string", "pattern": durationPattern + `|\$\{`, "examples": []string{"30s", "5m", "7d"}}
	case reflect.TypeFor[size]():
		return object{"type": []string{"string", "integer"}, "examples": []string{"512MiB", "10GiB"}}
	case reflect.TypeFor[Rate]():
		return object{"type": "string", "pattern": `^[0-9]+/[smh]$|\$\{`, "examples": []string{"10/s", "600/m"}}
	case reflect.TypeFor[entityName](), reflect.TypeFor[tenantName]():
		return object{"type": "string", "pattern": `^[a-z0-9][a-z0-9_-]*$`}
	case reflect.TypeFor[ruleTenant](), reflect.TypeFor[sourceName]():
		return object{"type": "string", "pattern": `^([a-z0-9][a-z0-9_-]*|\*)$`}
	case reflect.TypeFor[capture]():
		return words("failures", "all")
	case reflect.TypeFor[once]():
		return words("response")
	case reflect.TypeFor[scope]():
		return words(Scopes...)
	case reflect.TypeFor[outbound.Transport]():
		return words(string(outbound.Fast), string(outbound.Std))
	case reflect.TypeFor[webhook.PresetName]():
		return words(webhook.PresetNames()...)
	case reflect.TypeFor[webhook.LargeNumbers]():
		return words(string(webhook.AsNumbers), string(webhook.AsText), string(webhook.Rounded))
	case reflect.TypeFor[retrySettings]():
		return object{"anyOf": []any{words(webhook.PresetNames()...), object{"type": "array", "items": s.form(reflect.TypeFor[time.Duration]())}}}
	case reflect.TypeFor[stepSettings]():
		return s.step()
	case reflect.TypeFor[connectors.Secret]():
		return object{"type": []string{"string", "number"}, "writeOnly": true}
	case reflect.TypeFor[expression.Values]():
		return object{"type": "object"}
	case reflect.TypeFor[expression.Text](), reflect.TypeFor[expression.Condition](), reflect.TypeFor[expression.Value]():
		return object{"type": []string{"string", "number", "boolean"}}
	case reflect.TypeFor[connectors.Signature]():
		return object{"anyOf": []any{words(connectors.SignatureStyles...), s.structure(t)}}
	case reflect.TypeFor[netip.Prefix](), reflect.TypeFor[address](), reflect.TypeFor[zone](), reflect.TypeFor[source.Field]():
		return text
	case reflect.TypeFor[*document.Node]():
		return object{}
	}
	if worded, ok := reflect.TypeAssert[connectors.Enum](reflect.Zero(t)); ok {
		return words(worded.Words()...)
	}
	switch {
	case reflect.PointerTo(t).Implements(reflect.TypeFor[connectors.ValuesUnmarshaler]()):
		return object{"type": []string{"string", "object"}}
	case t.Kind() == reflect.Slice && reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return object{"type": []string{"string", "array"}, "items": s.schemaOf(t.Elem())}
	case document.IsSecret(t):
		return object{"type": []string{"string", "number", "boolean"}, "writeOnly": true}
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return object{"type": []string{"string", "number", "boolean"}}
	}
	return nil
}

// schemaOf returns the schema of a type.
func (s *schema) schemaOf(t reflect.Type) object {
	if form := s.form(t); form != nil {
		return form
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.schemaOf(t.Elem())
	case reflect.Bool:
		return scalarOrHole(object{"type": "boolean"})
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint64:
		return scalarOrHole(object{"type": "integer"})
	case reflect.Float64:
		return scalarOrHole(object{"type": "number"})
	case reflect.String:
		return object{"type": []string{"string", "number", "boolean"}}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.schemaOf(t.Elem())}
	case reflect.Slice:
		if t.Implements(reflect.TypeFor[document.Free]()) {
			value, _ := t.Elem().FieldByName("Value")
			return object{"type": []string{"object", "null"}, "additionalProperties": s.schemaOf(value.Type)}
		}
		return object{"type": []string{"array", "null"}, "items": s.schemaOf(t.Elem())}
	case reflect.Struct:
		return s.structure(t)
	}
	panic(fmt.Sprintf("config: the schema knows no %s", t))
}

// structure returns the schema of a struct's settings.
func (s *schema) structure(t reflect.Type) object {
	properties, required := object{}, []string{}
	for _, f := range document.Fields(t) {
		switch {
		case f.Self:
			continue
		case f.Rest:
			required = append(required, s.rest(t, properties)...)
			continue
		}
		property := s.schemaOf(f.Type)
		if text := s.doc(f.Owner.String(), f.Go); text != "" {
			property["description"] = strings.TrimSpace(text)
		}
		properties[f.Name] = property
		if f.Required {
			required = append(required, f.Name)
		}
	}
	if t == reflect.TypeFor[sourceSettings]() {
		properties["profile"].(object)["examples"] = source.Builtin().Names()
		properties["verify"] = object{"type": "array", "items": s.structure(reflect.TypeFor[signature.Scheme]())}
	}
	out := object{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	if t == reflect.TypeFor[sourceSettings]() {
		out["anyOf"] = []any{object{"required": []string{"profile"}}, object{"required": []string{"redis_stream"}}}
	}
	if t == reflect.TypeFor[connectionSettings]() {
		var one []any
		for _, product := range products() {
			one = append(one, object{"required": []string{product}})
		}
		out["oneOf"] = one
	}
	return out
}

// rest adds the keys that connectors define: the products of a connection, or the settings of a webhook. It returns the
// required ones.
func (s *schema) rest(t reflect.Type, properties object) []string {
	if t == reflect.TypeFor[webhookSettings]() {
		connector := s.connector(productWebhook)
		maps.Copy(properties, connector["properties"].(object))
		required, _ := connector["required"].([]string)
		return required
	}
	for _, product := range products() {
		s.defs[product] = s.connector(product)
		properties[product] = object{"$ref": "#/$defs/" + product}
	}
	return nil
}

// connector returns the schema of a connector's settings.
func (s *schema) connector(name string) object {
	c, ok := connectors.New(name)
	if !ok {
		return object{"type": "object", "properties": object{}}
	}
	out := s.structure(reflect.TypeOf(c).Elem())
	out["type"] = []string{"object", "null"}
	return out
}

// step returns the schema of an entry of `send`: a name, or a name with settings that steps of any product may have.
func (s *schema) step() object {
	settings := object{}
	for _, name := range connectors.Names() {
		c, _ := connectors.New(name)
		own := s.connector(name)["properties"].(object)
		for _, f := range document.FieldsOf(c) {
			ofConnection := f.Type == secretType || document.EmbedsSecret(f.Type) || f.Type == urlType || f.Type == baseType
			if name == productWebhook {
				ofConnection = !slices.Contains(webhookStepSettings, f.Name)
			}
			if !ofConnection {
				settings[f.Name] = own[f.Name]
			}
		}
	}
	return object{"anyOf": []any{
		object{"type": "string"},
		object{
			"type": "object",
			"properties": object{
				"as":      object{"type": "string", "description": "the step's name, if its default name is taken"},
				"amend":   object{"type": "boolean", "description": "changes what was sent of a response when the response changes, in place of a second message"},
				"retract": object{"type": "boolean", "description": "with amend: marks what was sent as no longer so when the response does not match any more"},
			},
			"additionalProperties": object{"type": []string{"object", "null"}, "properties": settings},
		},
	}}
}
