package connectortest

import (
	"reflect"
	"testing"

	"github.com/surveygate/surveygate/connectors"
)

// ReplaceSecrets are the connectors of one name, one for each transcript that has a secret, with every secret replaced by
// the text given: for tests of credentials that are no good. Dir is the connectors folder.
func ReplaceSecrets(t testing.TB, dir, name, secret string) []connectors.Connector {
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
