package connectors

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Checker is implemented by a connector whose settings can be proved with requests that change nothing at the product.
// `surveygate check --live` sends them for each connection, and for each step that has settings of its own.
type Checker interface {
	// Check returns the requests, none if the product has no harmless one. A connector with OAuth2 has at least one with that
	// credential: the gateway finds it there before any event is sent (see TokenOf). They do not depend on each other's answers. Equal
	// requests of several steps are sent once.
	Check() []*Request
	// JudgeCheck reads the answer to one of the requests, which is res.To. It is not called for an answer that ByStatus would
	// retry, because that answer proves nothing.
	JudgeCheck(res *Response) Proof
}

// Proof is the result of one check request. The zero value means that all settings are good. The lists hold phrases for
// people, such as "the scope crm.objects.contacts.write" or "the audience a1b2". They hold no secret and no response body.
type Proof struct {
	// Missing lists what the product lacks; deliveries will fail because of it.
	Missing []string
	// Unproved lists what no harmless request can prove.
	Unproved []string
	// Notes list what the product says that an operator needs for writing the settings, such as the ids of fields.
	Notes []string
}

// Missing returns a Proof with the given phrases as Missing.
func Missing(what ...string) Proof { return Proof{Missing: what} }

// UnexpectedAnswer returns the Proof for an answer that did not come from the product, but from a proxy or another web server.
// It names the product, what it was asked for, and the form and size of the answer. It does not quote the body, which may
// contain anything.
func UnexpectedAnswer(product, asked string, res *Response) Proof {
	got := StatusReason(res.Status)
	kind, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";")
	switch kind = strings.TrimSpace(kind); {
	case len(res.Body) == 0:
		got += ", without a body"
	case json.Valid(res.Body):
		got += fmt.Sprintf(", JSON of another form (%d bytes)", len(res.Body))
	case kind != "" && len(kind) <= 40 && !strings.ContainsFunc(kind, func(r rune) bool { return r < '+' || r > 'z' }):
		got += fmt.Sprintf(", %s that is not JSON (%d bytes)", kind, len(res.Body))
	default:
		got += fmt.Sprintf(", not JSON (%d bytes)", len(res.Body))
	}
	return Missing(fmt.Sprintf("an answer from %s: asked for %s, got %s; check the proxies and gateways in between", product, asked, got))
}

// ProofByStatus reads the status code only. 2xx proves the settings; 401 and 403 mean that the credentials are wrong or lack a
// permission; any other status is one that the product does not document for its check request.
func ProofByStatus(res *Response) Proof {
	switch s := res.Status; {
	case s >= 200 && s <= 299:
		return Proof{}
	case s == 401:
		return Missing("valid credentials (" + StatusReason(s) + ")")
	case s == 403:
		return Missing("permission (" + StatusReason(s) + ")")
	default:
		return Missing("an answer to the check (" + StatusReason(s) + ")")
	}
}

// TokenOf returns the credential of a connector whose access token the gateway fetches, as its check uses it.
func TokenOf(c Connector) (auth OAuth2, ok bool) {
	checker, ok := c.(Checker)
	if !ok {
		return auth, false
	}
	for _, request := range checker.Check() {
		if auth, ok = request.Auth.(OAuth2); ok {
			return auth, true
		}
	}
	return auth, false
}
