package erase

import (
	"encoding/base64"
	"testing"
)

// A person is found by each name as requests and answers write it, and not in longer words.
func TestNamesInTexts(t *testing.T) {
	t.Parallel()
	n := newNames([]string{" Jo@Example.com", "+90 555 111 22 33", "cust-77", "77", ""})
	for _, text := range []string{
		"jo@example.com", `{"email":"JO@example.COM"}`, "email=jo%40example.com&x=1", `{"email":"jo\u0040example.com"}`,
		"call 0555 111 22 33", "+905551112233", "tel=%2B90%20555%20111%2022%2033", "(555) 111-22-33", "id cust-77.",
		"905551112233",
	} {
		if !n.in(text) {
			t.Errorf("not found in %q", text)
		}
	}
	for _, text := range []string{
		"", "banjo@example.com", "jo@example.community", "cust-777", "77", "90555111223", "5551112234", "1 2 3",
		"555 111 22 33 44",
	} {
		if n.in(text) {
			t.Errorf("found in %q", text)
		}
	}
	if !n.inItem([]byte(`{"headers":[["X-User","jo@example.com"]],"body":"x"}`)) ||
		!n.inItem([]byte(`{"encoding":"base64","body":"`+base64.StdEncoding.EncodeToString([]byte("\xff jo@example.com"))+`"}`)) ||
		n.inItem([]byte(`{"body":"other@example.com"}`)) {
		t.Error("requests are not told apart")
	}
}
