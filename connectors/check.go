package connectors

// Checker is implemented where settings can be proved harmlessly: `surveygate check --live` asks the connection alone,
// and every step that writes settings of its own.
type Checker interface {
	// Check are the requests of the proof; none where the product can be asked nothing without telling it something.
	// Equal requests of several steps are sent once. None of them depends on another's answer.
	Check() []*Request
	// Checked reads one answer; res.To says to what. It is not asked of answers that are no answer to the question:
	// those that ByStatus would retry.
	Checked(res *Response) Proof
}

// Proof is what one answer shows. The zero value is a good one. Both lists are phrases for people, such as
// "the scope crm.objects.contacts.write" or "the audience a1b2", and hold neither secrets nor bodies.
type Proof struct {
	// Missing is what events will fail for.
	Missing []string
	// Unproved is what no harmless request can show.
	Unproved []string
}

// Lacks says what is missing.
func Lacks(what ...string) Proof { return Proof{Missing: what} }

// ProofByStatus reads the status alone: 2xx is good, 401 and 403 are the credentials, and everything else is an
// answer that the product does not document for a proof.
func ProofByStatus(res *Response) Proof {
	switch s := res.Status; {
	case s >= 200 && s <= 299:
		return Proof{}
	case s == 401:
		return Lacks("valid credentials (" + StatusReason(s) + ")")
	case s == 403:
		return Lacks("permission (" + StatusReason(s) + ")")
	default:
		return Lacks("an answer to the check (" + StatusReason(s) + ")")
	}
}
