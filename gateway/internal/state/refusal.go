package state

// Refusal is why a source refuses a request. The reasons are a closed set: each has a counter of its own
// (RequestsRefused + reason), so their order must not change, and a new one is added at the end.
type Refusal uint8

// The reasons.
const (
	RefusedSignature Refusal = iota // not proved to come from the platform
	RefusedEncoding                 // a Content-Encoding
	RefusedTooLarge
	RefusedNotJSON
	RefusedInvalid // a field
	RefusedTooDeep
	RefusedTooManyAnswers
	RefusedTooManyEvents
	RefusedUnreadable // any other body that no event can be made of
)

// RefusalReasons are the words for the reasons, in their order: labels of metrics, and what API and pages show.
var RefusalReasons = [...]string{
	RefusedSignature:      "signature",
	RefusedEncoding:       "encoding",
	RefusedTooLarge:       "too large",
	RefusedNotJSON:        "not json",
	RefusedInvalid:        "invalid",
	RefusedTooDeep:        "too deep",
	RefusedTooManyAnswers: "too many answers",
	RefusedTooManyEvents:  "too many events",
	RefusedUnreadable:     "unreadable",
}

// String returns the reason in words.
func (r Refusal) String() string { return RefusalReasons[r] }

// Each reason needs a counter.
const _ = uint(MaxCounters - RequestsRefused - len(RefusalReasons))
