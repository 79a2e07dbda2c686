package deliver

import "github.com/surveygate/surveygate/connectors"

// fault is what was wrong with the answer behind its status line, or "".
func (t *attemptOutcome) fault() string {
	if t.response == nil {
		return ""
	}
	return t.response.Fault
}

// reason is a verdict's with the fault of the answer, so that a person sees both.
func (t *attemptOutcome) reason(v connectors.Verdict) string {
	switch fault := t.fault(); {
	case fault == "" || fault == v.Reason:
		return v.Reason
	case v.Reason == "":
		return fault
	default:
		return v.Reason + "; " + fault
	}
}

// unsure reports whether a verdict on a success was read from a body that did not come as a whole: what is missing may say
// otherwise, and a chain that goes on without it may write twice.
func unsure(res *connectors.Response, v connectors.Verdict) bool {
	return res.Fault != "" && res.Truncated && res.Status >= 200 && res.Status <= 299 &&
		(v.Kind == connectors.Rejected || v.Kind == connectors.Continue)
}
