package portal

import (
	"encoding/json"
	"html/template"
	"net/http"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

// funcs are the functions of the portal's templates. What the API says of holds and failures is for those who run the gateway; the portal
// says what the owner of the receiver can do.
var funcs = template.FuncMap{
	"states":   func() []string { return []string{"waiting", "delivered", "skipped", "dead", "dropped"} },
	"stateOf":  stateOf,
	"holdText": holdText,
	"remedy":   remedy,
}

// stateOf is the word for a state of a delivery or webhook that a customer reads: of dead letters, that they failed.
func stateOf(state string) string {
	switch state {
	case "dead", view.Broken, "gone", "revoked":
		return "failed"
	case "dropped":
		return "given up"
	case view.Disabled:
		return "off"
	case "circuit", "rate":
		return "waiting"
	case view.Serving, "pending":
		return "active"
	}
	return state
}

// holdText says why nothing is sent at this moment, and what ends that.
func holdText(h *view.Hold) string {
	if h == nil {
		return ""
	}
	switch h.Kind {
	case "paused":
		return "The platform has paused deliveries. What comes in waits, and is sent when they go on."
	case "circuit":
		return "Nearly all of the last requests failed. The next try comes by itself."
	case "rate":
		return "Your server asked for fewer requests. The next one comes by itself."
	case "gone":
		return "Your server answered 410 Gone, which asks never to be called again. Enter another address in the settings: what waits is sent to it."
	case "revoked":
		return "Your server refused the credentials. Correct the headers or the address in the settings: what waits is sent then."
	case view.Disabled:
		return "It is off: new events are not sent to it. What waits is sent when it is on again."
	case view.Broken:
		return "The settings have a fault. Correct them: what waits is sent then."
	}
	return "Nothing is sent at this moment. What comes in waits."
}

// remedy says what the owner of a receiver can do about an attempt that failed; empty for one that did not.
func remedy(a *view.Attempt) string {
	if a == nil || a.Verdict == "delivered" || a.Verdict == "skipped" {
		return ""
	}
	switch s := a.Status; {
	case s == 0:
		return "No answer came: check that the server runs, that its certificate is valid, and that the address in the settings is right."
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		return "The server refused the request: check how it verifies the signature, and whether it expects a header that the settings do not have."
	case s == http.StatusNotFound || s == http.StatusMethodNotAllowed:
		return "The server has nothing at this address that takes a POST: check the path in the settings."
	case s == http.StatusGone:
		return "410 asks never to be called again: enter another address in the settings."
	case s == http.StatusTooManyRequests:
		return "The server asked for fewer requests: the next one comes later by itself."
	case s >= 300 && s < 400:
		return "Redirects are not followed: enter the address that it leads to."
	case s >= 500:
		return "The server failed: look into its log at this time."
	case s >= 400:
		return "The server refuses this event, and would refuse it again: look into its log at this time."
	}
	return "The answer says that the event was not taken: look into the server's log at this time."
}

// indented writes a document with line breaks, for a form: whole, and as it is where line breaks made it very long. Its order and numbers stay.
func indented(document json.RawMessage) string {
	if e := page.Indent(string(document), 4*config.MaxDocument); e.Left == 0 {
		return e.Text
	}
	return string(document)
}
