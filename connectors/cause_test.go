package connectors

import "testing"

// A code matches whole words only.
func TestCodesAreWholeWords(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		code, reason string
		want         bool
	}{
		{"is_archived", "is_archived", true},
		{"is_archived", "no attempts left: is_archived", true},
		{"is_archived", "channel_is_archived", false},
		{"not_in_channel", "not_in_channel2", false},
		{"restricted_action*", "restricted_action_read_only_channel", true},
		{"restricted_action*", "unrestricted_action", false},
		{"Invalid Resource", "400 Invalid Resource: FNAME", true},
		{"CONFLICT", "CONFLICTS CONFLICT", true},
		{"CONFLICT", "é CONFLICTé", false},
		{"", "anything", false},
	} {
		if got := (Cause{Code: row.code}).matches(row.reason); got != row.want {
			t.Errorf("%q in %q: %t", row.code, row.reason, got)
		}
	}
}

func TestCommonCauses(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]Fix{
		"401 Unauthorized": FixCredentials, "403 Forbidden": FixProduct, Unconfirmed(&Response{Status: 207}).Reason: FixProduct,
	} {
		if c, ok := CauseOf("no such connector", reason); !ok || c.Fix != want || c.Hint == "" {
			t.Errorf("%s: %+v", reason, c)
		}
	}
	for _, retried := range []string{"408 Request Timeout", "425 Too Early", "429 Too Many Requests", "503 Service Unavailable"} {
		if c, ok := CauseOf("no such connector", retried); ok {
			t.Errorf("%s is retried, and said to be mended by %+v", retried, c)
		}
	}
	if c, ok := CauseOf("no such connector", "some word"); ok {
		t.Errorf("a cause that nobody knows: %+v", c)
	}
}
