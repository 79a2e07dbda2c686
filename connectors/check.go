package connectors

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Checker is implemented where settings can be proved harmlessly: `surveygate check --live` asks the connection alone,
// and every step that writes settings of its own.
type Checker interface {
	// Check are the requests of the proof; none where the product can be asked nothing without telling it something.
	// Equal requests of several steps are sent once. None of them depends on another's answer.
	Check() []*Request
	// JudgeCheck reads one answer; res.To says to what. It is not asked of answers that are no answer to the question:
	// those that ByStatus would retry.
	JudgeCheck(res *Response) Proof
}

// Proof is what one answer shows. The zero value is a good one. Both lists are phrases for people, such as
// "the scope crm.objects.contacts.write" or "the audience a1b2", and hold neither secrets nor bodies.
type Proof struct {
	// Missing is what events will fail for.
	Missing []string
	// Unproved is what no harmless request can show.
	Unproved []string
}

// Missing says what is missing.
func Missing(what ...string) Proof { return Proof{Missing: what} }

// UnexpectedAnswer is the proof where something else answered than the product, as a proxy or a page of somebody's: it says who was
// asked for what, and what came. Of the body it says what it is and how long, as the text may hold anything.
func UnexpectedAnswer(product, asked string, res *Response) Proof {
	came := StatusReason(res.Status)
	kind, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";")
	switch kind = strings.TrimSpace(kind); {
	case len(res.Body) == 0:
		came += ", without a body"
	case json.Valid(res.Body):
		came += fmt.Sprintf(", JSON of another form (%d bytes)", len(res.Body))
	case kind != "" && len(kind) <= 40 && !strings.ContainsFunc(kind, func(r rune) bool { return r < '+' || r > 'z' }):
		came += fmt.Sprintf(", %s that is no JSON (%d bytes)", kind, len(res.Body))
	default:
		came += fmt.Sprintf(", no JSON (%d bytes)", len(res.Body))
	}
	return Missing(fmt.Sprintf("an answer of %s: it was asked for %s, and %s came; look at what stands between", product, asked, came))
}

// ProofByStatus reads the status alone: 2xx is good, 401 and 403 are the credentials, and everything else is an
// answer that the product does not document for a proof.
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
