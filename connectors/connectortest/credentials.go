package connectortest

import (
	"reflect"
	"strings"
	"testing"

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
