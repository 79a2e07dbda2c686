package explain

import "github.com/surveygate/surveygate/gateway/internal/state"

// Settled reports whether no delivery of the event is waiting or being attempted any more.
func (x *Explanation) Settled() bool {
	if x.State == "pending" {
		return false
	}
	for _, r := range x.Rules {
		for _, s := range r.Steps {
			if s.Delivery != nil && (s.Delivery.State == state.Waiting || s.Delivery.Now) {
				return false
			}
		}
	}
	return true
}
