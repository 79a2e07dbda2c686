package connectors

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fix says what has to change before the product accepts a delivery.
type Fix string

// The fixes are a closed set. A fix also decides how deliveries continue afterwards: a dead letter is replayed by a person; a
// hold is removed automatically when the configuration changes, but not when something changes at the product.
const (
	// FixCredentials: the connection needs other credentials.
	FixCredentials Fix = "credentials"
	// FixConfiguration: a rule or a connection has to change.
	FixConfiguration Fix = "configuration"
	// FixProduct: something has to change at the product, or at the receiver of a webhook.
	FixProduct Fix = "product"
	// FixWait: a retry helps, without any action.
	FixWait Fix = "wait"
	// FixNone: no action helps; the product would refuse the same event again.
	FixNone Fix = "none"
)

// Cause is one reason for a product's refusal, with advice on what a person can do.
type Cause struct {
	// Code is the product's own word or phrase, as it appears in Verdict.Reason. It matches whole words only; a code that ends
	// in * matches the beginning of a word.
	Code string
	// Kind is the verdict that the code leads to. It is empty if the verdict depends on more than the code.
	Kind Kind
	// Fix is what has to change.
	Fix Fix
	// Hint is a sentence that says what to do. It names no command, because the right one depends on the delivery's state.
	Hint string
}

// Advisor is implemented by a connector that knows what its product's reasons mean.
type Advisor interface {
	// Causes returns the known causes. If a reason contains several codes, the first cause of the list applies: put
	// the more specific ones first.
	Causes() []Cause
}

// commonCauses match the reasons that every connector gives.
var commonCauses = slices.Concat(
	[]Cause{
		{Code: strings.TrimPrefix(UnconfirmedReason, ", "), Kind: Rejected, Fix: FixProduct, Hint: "Check whether the record exists at the product: it may have been merged, or erased permanently."},
		{Code: mayNotErase, Kind: Rejected, Fix: FixProduct, Hint: "The credentials lack the permission to delete a person: give it in the product and replay, or delete the person there by hand."},
		{Code: "401 Unauthorized", Kind: Revoked, Fix: FixCredentials, Hint: "The product does not accept the credentials."},
		{Code: "403 Forbidden", Kind: Revoked, Fix: FixProduct, Hint: "The credentials lack a permission: give it in the product, or use others."},
	},
	CausesByStatus(300, 399, Cause{Kind: Rejected, Fix: FixConfiguration, Hint: "The server at this address redirects, and redirects are never followed: correct the address (`base_url`)."}),
	badRequests(400, 400), badRequests(402, 402), badRequests(404, 407), badRequests(409, 424), badRequests(426, 428), badRequests(430, 499),
)

// badRequests returns a cause for each status with which a product says that the request is wrong.
func badRequests(from, to int) []Cause {
	return CausesByStatus(from, to, Cause{
		Kind: Rejected, Fix: FixConfiguration, Hint: "The product says that the request is wrong: correct the settings of the rule or the connection.",
	})
}

// CausesByStatus returns a copy of a cause for each status in the range, both ends included. Its Code is what StatusReason
// writes.
func CausesByStatus(from, to int, as Cause) (all []Cause) {
	for status := from; status <= to; status++ {
		as.Code = StatusReason(status)
		all = append(all, as)
	}
	return all
}

// CauseOf returns the cause that a verdict's reason names, for a registered connector's name such as `hubspot.note`. ok is
// false if no known cause matches.
func CauseOf(connector, reason string) (c Cause, ok bool) {
	var known []Cause
	if made, registered := New(connector); registered {
		if advisor, advises := made.(Advisor); advises {
			known = advisor.Causes()
		}
	}
	for _, list := range [][]Cause{known, commonCauses} {
		for _, c := range list {
			if c.matches(reason) {
				return c, true
			}
		}
	}
	return Cause{}, false
}

// matches reports whether a reason contains the code as whole words.
func (c Cause) matches(reason string) bool {
	code, isPrefix := strings.CutSuffix(c.Code, "*")
	for from := 0; ; {
		at := strings.Index(reason[from:], code)
		if at < 0 || code == "" {
			return false
		}
		at += from
		before, _ := utf8.DecodeLastRuneInString(reason[:at])
		after, _ := utf8.DecodeRuneInString(reason[at+len(code):])
		if !isWordRune(before) && (isPrefix || !isWordRune(after)) {
			return true
		}
		from = at + 1
	}
}

// isWordRune reports whether r belongs to a word. utf8.RuneError, which stands for both ends of a text, does not.
func isWordRune(r rune) bool {
	return r == '_' || r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}
