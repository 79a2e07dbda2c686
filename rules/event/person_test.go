package event

import (
	"testing"
	"time"
)

// Person agrees with Data.
func TestPerson(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"type":"response.completed","email":"Jo@Example.com","phone":"+123","respondent":{"external_id":"x-1"}}`,
		`{"type":"response.completed","email":"j\"o@example.com"}`,
		`{"type":"response.completed"}`,
	} {
		ev, err := ParseOne([]byte(body), Defaults{Tenant: "default", Source: "api", Received: time.Unix(1767323045, 0), Verified: "token"})
		if err != nil {
			t.Fatal(err)
		}
		email, phone, external := ev.Person()
		want := ev.Data().Respondent
		if email != want.Email || phone != want.Phone || external != want.ExternalID {
			t.Errorf("%s: %q %q %q, want %q %q %q", body, email, phone, external, want.Email, want.Phone, want.ExternalID)
		}
	}
}
