package connectors_test

import (
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
)

func TestConsent(t *testing.T) {
	t.Parallel()
	const subscribed, kept = "subscribed", "kept"
	rows := []struct {
		setting          connectors.Consent
		yes, no, unasked string
	}{
		{"", subscribed, "consent refused", "no consent"},
		{connectors.ConsentRequired, subscribed, "consent refused", "no consent"},
		{connectors.ConsentAssume, subscribed, "consent refused", subscribed},
		{connectors.ConsentStore, subscribed, kept, kept},
	}
	for _, row := range rows {
		for given, want := range map[string]string{`,"consent":true`: row.yes, `,"consent":false`: row.no, ``: row.unasked} {
			ev, err := connectortest.ParseEvent([]byte(`{"type":"response.completed","email":"jo@example.com"` + given + `}`))
			if err != nil {
				t.Fatal(err)
			}
			got := kept
			switch yes, err := row.setting.Subscribe(ev); {
			case err != nil:
				got = err.Error()
			case yes:
				got = subscribed
			}
			if got != want {
				t.Errorf("%q with %q: %s, want %s", row.setting, given, got, want)
			}
		}
	}
	var c connectors.Consent
	if err := c.UnmarshalText([]byte("maybe")); err == nil || c != "" {
		t.Errorf("maybe is taken: %q, %v", c, err)
	}
	if err := c.UnmarshalText([]byte("store")); err != nil || c != connectors.ConsentStore {
		t.Errorf("store: %q, %v", c, err)
	}
}

// ConsentOf finds the setting by its type, also in an embedded struct.
func TestConsentOf(t *testing.T) {
	t.Parallel()
	type account struct{ Consent connectors.Consent }
	type list struct {
		connectors.Connector
		account
		other connectors.Consent
	}
	type silent struct{ connectors.Connector }
	for _, c := range []struct {
		connector connectors.Connector
		want      connectors.Consent
		ok        bool
	}{
		{&list{}, connectors.ConsentRequired, true},
		{&list{account: account{connectors.ConsentStore}}, connectors.ConsentStore, true},
		{&list{other: connectors.ConsentAssume}, connectors.ConsentRequired, true},
		{&silent{}, "", false},
		{nil, "", false},
	} {
		if got, ok := connectors.ConsentOf(c.connector); got != c.want || ok != c.ok {
			t.Errorf("%+v: %q, %v", c.connector, got, ok)
		}
	}
}
