package connectortest

import (
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest/credentials"
)

// WithSecret returns one configured connector for each transcript of a registered name that has a secret. Every secret is
// replaced by the given text, for tests with invalid credentials. dir is the connectors folder.
func WithSecret(t testing.TB, dir, name, secret string) []connectors.Connector {
	t.Helper()
	var all []connectors.Connector
	for _, e := range examples(t, dir, name) {
		c, _ := e.ready(t, name)
		if replaceSecrets(reflect.ValueOf(c).Elem(), secret) > 0 {
			all = append(all, c)
		}
	}
	return all
}

// resolve returns the value of a setting in a transcript, which may be written `${NAME}` (see credentials.Named).
func resolve(setting string) string {
	if name, ok := strings.CutPrefix(setting, "${"); ok {
		if value, ok := credentials.Named(strings.TrimSuffix(name, "}")); ok {
			return value
		}
	}
	return setting
}

// Settings returns the settings of a registered connector's transcripts, the example of its page first, without those that the
// connector refuses. dir is the connectors folder.
func Settings(t testing.TB, dir, name string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for _, e := range examples(t, dir, name) {
		var settings map[string]any
		if err := yaml.Unmarshal(e.config, &settings); err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		for name, value := range settings {
			if text, ok := value.(string); ok {
				settings[name] = resolve(text)
			}
		}
		all = append(all, settings)
	}
	return all
}
