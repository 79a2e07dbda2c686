package connectortest

import (
	"testing"

	"github.com/surveygate/surveygate/connectors"
)

// checkToken tests that a connector whose access token is fetched has a check with the same grant, since the gateway finds it
// there: to warn of a missing key, and to accept a refresh token for the connection.
func checkToken(t *testing.T, name string, cases []example) {
	t.Helper()
	for _, e := range cases {
		c, events := e.ready(t, name)
		if len(events) == 0 {
			continue
		}
		req, err := e.build(c, events)
		if err != nil {
			continue // other tests report it
		}
		sent, fetched := req.Auth.(connectors.OAuth2)
		checked, found := connectors.TokenOf(c)
		if fetched != found || sent.Grant != checked.Grant {
			t.Errorf("%s: the request's token is fetched with the grant %q, that of the check with %q", e.name, sent.Grant, checked.Grant)
		}
	}
}
