package config_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/document"
)

// TestSchema: the schema is valid, takes what Load takes, and refuses what an editor should underline.
func TestSchema(t *testing.T) {
	t.Parallel()
	text, err := config.Schema(func(typeName, field string) string {
		if typeName == "slack.Account" && field == "Token" {
			return "a bot's token"
		}
		return ""
	})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte("a bot's token")) {
		t.Error("comments are not in the schema")
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("schema.json", parsed); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	valid := func(text string) error {
		node, faults := document.Parse("x.yaml", []byte(text))
		if faults != nil {
			t.Fatal(faults)
		}
		var value any
		if err := json.Unmarshal(node.JSON(), &value); err != nil {
			t.Fatal(err)
		}
		return compiled.Validate(value)
	}
	if err := valid(whole); err != nil {
		t.Errorf("the schema refuses what Load takes: %v", err)
	}
	for _, wrong := range []string{
		"webhook: []", "rules: [{name: a}]", "rules: [{name: A, send: [x]}]", "connections: {a: {retry: standard}}", "connections: {a: {slak: {}}}",
		"connections: {a: {slack: {tokn: x}}}", "webhooks: [{name: a}]", "webhooks: [{name: a, url: x, preset: none}]", "redis: x",
		"tokens: [{name: a, secret: x, scopes: [all]}]", "sources: {a: {}}", "connections: {a: {slack: {}, rate: fast}}",
	} {
		if valid(wrong) == nil {
			t.Errorf("the schema takes %s", wrong)
		}
	}
}
