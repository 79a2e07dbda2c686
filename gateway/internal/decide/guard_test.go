package decide

import (
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// A person is known by what identifies one: a phone number without a digit is none.
func TestContactKeys(t *testing.T) {
	t.Parallel()
	key := func(r event.Respondent) string {
		t.Helper()
		ev, err := event.New(event.Header{Tenant: "acme", Source: "app", SourceKind: "api", Type: event.TypeResponseCompleted, DedupeKey: "k", Received: time.Now(), Verified: "token"}, &event.Data{Respondent: r}, event.Raw{})
		if err != nil {
			t.Fatal(err)
		}
		o := Owed{Delivery: state.Delivery{Destination: "crm"}, AtDue: &config.Rule{Guard: config.Guard{ContactCap: config.ContactCap{Per: time.Hour, Count: 1}}}}
		if keys := o.ContactKeys(ev, []byte("key")); len(keys) > 0 {
			return keys[0]
		}
		return ""
	}
	for _, c := range []struct {
		name string
		a, b event.Respondent
		same bool
	}{
		{"case and space", event.Respondent{Email: " Jo@Example.com"}, event.Respondent{Email: "jo@example.com "}, true},
		{"grouped digits", event.Respondent{Phone: "+90 532 (111) 22-33"}, event.Respondent{Phone: "+905321112233"}, true},
		{"no digit, and ids", event.Respondent{Phone: "n/a", ExternalID: "1"}, event.Respondent{Phone: "n/a", ExternalID: "2"}, false},
		{"blank address, and ids", event.Respondent{Email: " ", ExternalID: "1"}, event.Respondent{Email: " ", ExternalID: "2"}, false},
	} {
		if same := key(c.a) == key(c.b); same != c.same {
			t.Errorf("%s: same person %t", c.name, same)
		}
	}
	for _, r := range []event.Respondent{{Phone: "none"}, {Email: " "}, {ExternalID: " "}, {}} {
		if k := key(r); k != "" {
			t.Errorf("%+v is a person", r)
		}
	}
}
