package connectors

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fix is where a cause is mended.
type Fix string

// The fixes, a closed set. What brings the deliveries on their way afterwards follows from it: a dead letter is replayed, and
// a hold lifts by itself when the configuration changes, but not when something changes at the product.
const (
	// FixCredentials: other credentials are needed.
	FixCredentials Fix = "credentials"
	// FixConfiguration: a rule or a connection has to change.
	FixConfiguration Fix = "configuration"
	// FixProduct: something has to change at the product, or at the receiver.
	FixProduct Fix = "product"
	// FixWait: nobody has to do anything; trying again helps.
	FixWait Fix = "wait"
	// FixNone: nobody can do anything; the same event would be refused again.
	FixNone Fix = "none"
)

// Cause is one reason for which a product refuses, and what a person can do about it.
type Cause struct {
	// Code is the product's own word or phrase as it stands in Verdict.Reason. One that ends in * begins a word.
	Code string
	// Kind is what the code means for a delivery; empty where that depends on more than the code.
	Kind Kind
	// Fix is where it is mended.
	Fix Fix
	// Hint says in a sentence what to do. It names no command: which one helps depends on what became of the delivery.
	Hint string
}

// Advisor is implemented where the product's reasons say what can be done about them.
type Advisor interface {
	// Causes are those that are known. Where a reason holds several, the first of the list is meant.
	Causes() []Cause
}

// usual are causes in the reasons that every connector gives.
var usual = slices.Concat(
	[]Cause{
		{Code: strings.TrimPrefix(UnconfirmedReason, ", "), Kind: Rejected, Fix: FixProduct, Hint: "Look whether the product has the record: it may have been merged, or erased for good."},
		{Code: "401 Unauthorized", Kind: Revoked, Fix: FixCredentials, Hint: "The product does not take the credentials."},
		{Code: "403 Forbidden", Kind: Revoked, Fix: FixProduct, Hint: "The credentials lack a permission: give it in the product, or use others."},
	},
	CausesByStatus(300, 399, Cause{Kind: Rejected, Fix: FixConfiguration, Hint: "What answers there redirects, which is never followed: correct the address (`base_url`)."}),
	refusals(400, 400), refusals(402, 402), refusals(404, 407), refusals(409, 424), refusals(426, 428), refusals(430, 499),
)

// refusals are the statuses of requests that a product finds wrong.
func refusals(from, to int) []Cause {
	return CausesByStatus(from, to, Cause{
		Kind: Rejected, Fix: FixConfiguration, Hint: "The product finds the request wrong: correct what the rule or the connection writes.",
	})
}

// CausesByStatus is a cause for each status in a range, as StatusReason writes it.
func CausesByStatus(from, to int, as Cause) (all []Cause) {
	for status := from; status <= to; status++ {
		as.Code = StatusReason(status)
		all = append(all, as)
	}
	return all
}

// CauseOf is the cause in a verdict's reason, for a registered connector's name such as hubspot.note; ok is false where it
// is none that is known.
func CauseOf(connector, reason string) (c Cause, ok bool) {
	var known []Cause
	if made, registered := New(connector); registered {
		if advisor, advises := made.(Advisor); advises {
			known = advisor.Causes()
		}
	}
	for _, list := range [][]Cause{known, usual} {
		for _, c := range list {
			if c.in(reason) {
				return c, true
			}
		}
	}
	return Cause{}, false
}

// in says that a reason holds the code as words of their own.
func (c Cause) in(reason string) bool {
	code, begins := strings.CutSuffix(c.Code, "*")
	for from := 0; ; {
		at := strings.Index(reason[from:], code)
		if at < 0 || code == "" {
			return false
		}
		at += from
		before, _ := utf8.DecodeLastRuneInString(reason[:at])
		after, _ := utf8.DecodeRuneInString(reason[at+len(code):])
		if !inWord(before) && (begins || !inWord(after)) {
			return true
		}
		from = at + 1
	}
}

// inWord says that a character belongs to a word; utf8.RuneError, at the ends of a text, does not.
func inWord(r rune) bool {
	return r == '_' || r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}
