package connectors

import (
	"errors"
	"testing"

	"github.com/surveygate/surveygate/rules/event"
)

// building is a connector whose Build returns a request or an error.
type building struct{ err error }

func (b building) Build(*event.Event) (*Request, error) {
	return Get("https://product.example/made"), b.err
}

// What is gone is made anew, and what was to be retracted needs no more.
func TestJudgeGone(t *testing.T) {
	t.Parallel()
	one := []*event.Event{{}}
	for name, row := range map[string]struct {
		err    error
		to     *Request
		events []*event.Event
		want   Verdict
	}{
		"an amendment":                  {to: Get("x").Amending("1"), events: one, want: Then(Get("https://product.example/made"))},
		"a retraction":                  {to: Get("x").Retracting("1"), events: one, want: Verdict{Kind: Delivered, Reason: "it is gone already"}},
		"an event that is skipped now":  {to: Get("x").Amending("1"), events: one, err: Skip("no e-mail"), want: Verdict{Kind: Skipping, Reason: "no e-mail"}},
		"credentials without a request": {to: Get("x").Amending("1"), events: one, err: Unusable("no region"), want: Revoke("no region")},
		"an event that cannot be sent":  {to: Get("x").Amending("1"), events: one, err: errors.New("too long"), want: Reject("what is gone cannot be built anew: too long")},
		"no event":                      {to: Get("x").Amending("1"), want: Reject("an amendment has one event")},
	} {
		got := JudgeGone(building{row.err}, &Response{To: row.to, Events: row.events})
		if got.Kind != row.want.Kind || got.Reason != row.want.Reason || (got.Next == nil) != (row.want.Next == nil) {
			t.Errorf("%s: got %v, want %v", name, got, row.want)
		}
		if got.Next != nil && (got.Next.URL != row.want.Next.URL || got.Next.Amends != Amendment{}) {
			t.Errorf("%s: the next request is %s, %+v", name, got.Next.URL, got.Next.Amends)
		}
	}
}

func TestAmendment(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		to   *Request
		want Amendment
	}{
		{nil, Amendment{}},
		{Get("x"), Amendment{}},
		{Get("x").Amending("C1/2.3"), Amendment{Receipt: "C1/2.3"}},
		{Get("x").Retracting("C1/2.3"), Amendment{Receipt: "C1/2.3", Retraction: true}},
	} {
		got, ok := (&Response{To: row.to}).Amendment()
		if got != row.want || ok != (row.want != Amendment{}) {
			t.Errorf("%+v: got %+v, %v", row.to, got, ok)
		}
	}
}

func TestBadReceipt(t *testing.T) {
	t.Parallel()
	err := BadReceipt("an id")
	if want := "the receipt is not one of this connector: a receipt is an id"; !errors.Is(err, ErrReceipt) || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestWithPath(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://x.example/a/b":             "https://x.example/a/b/messages/1",
		"https://x.example/a/b?thread_id=7": "https://x.example/a/b/messages/1?thread_id=7",
	} {
		if got := NewSecret(address).WithPath("/messages/1"); got != NewSecret(want) {
			t.Errorf("%s does not become %s", address, want)
		}
		if got := NewSecret(address).WithoutQuery(); got != NewSecret("https://x.example/a/b") {
			t.Errorf("%s keeps its query", address)
		}
	}
}
