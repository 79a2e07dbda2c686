package client

import "testing"

// What the API refuses names the parameter that it is about, where its message does not.
func TestAPIErrorNamesItsPlace(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]APIError{
		"since: a time is needed (422)":      {Status: 422, Detail: []Detail{{Msg: "a time is needed", Type: "validation_error", Loc: []string{"since"}}}},
		"`type` is not one (422)":            {Status: 422, Detail: []Detail{{Msg: "`type` is not one", Type: "validation_error", Loc: []string{"type"}}}},
		"no such source (404)":               {Status: 404, Detail: []Detail{{Msg: "no such source", Type: "not_found", Loc: []string{"name"}}}},
		"a is missing; b is too large (422)": {Status: 422, Detail: []Detail{{Msg: "a is missing"}, {Msg: "b is too large"}}},
	} {
		if got := e.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
