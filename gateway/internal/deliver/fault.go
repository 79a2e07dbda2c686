package deliver

import "github.com/surveygate/surveygate/connectors"

// fault returns what was wrong with the answer after its status line, or "".
func (t *attemptOutcome) fault() string {
	if t.response == nil {
		return ""
	}
	return t.response.Fault
}

// reason returns the verdict's reason together with the fault of the answer.
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

// unsure reports whether a verdict on a success was read from an incomplete body: the missing part may say otherwise, and a chain that
// continues without it may write twice.
func unsure(res *connectors.Response, v connectors.Verdict) bool {
	return res.Fault != "" && res.Truncated && res.Status >= 200 && res.Status <= 299 &&
		(v.Kind == connectors.Rejected || v.Kind == connectors.Continue)
}
