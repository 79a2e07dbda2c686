package offline_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/surveygate/surveygate/connectors"
	_ "github.com/surveygate/surveygate/connectors/all"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/offline"
)

// A starter of every platform for every destination loads without faults, and its tests pass.
func TestStarters(t *testing.T) {
	t.Parallel()
	destinations := offline.StarterDestinations()
	if got, want := len(destinations), len(connectors.Products())+1; got != want {
		t.Fatalf("%d destinations, want the %d products and the webhook: %v", got, want, destinations)
	}
	for _, p := range config.Platforms() {
		for _, to := range destinations {
			t.Run(p.Name+"-"+to, func(t *testing.T) {
				t.Parallel()
				s, err := offline.NewStarter(p.Name, to)
				if err != nil {
					t.Fatal(err)
				}
				file := filepath.Join(t.TempDir(), "surveygate.yaml")
				if err := os.WriteFile(file, []byte(s.Text), 0o600); err != nil {
					t.Fatal(err)
				}
				tested, err := offline.Test(offline.TestOptions{Options: offline.Options{Config: file, Env: func(string) (string, bool) { return "", false }}})
				if err != nil {
					t.Fatalf("%v\n%s", err, s.Text)
				}
				if len(tested.Results) == 0 {
					t.Error("it has no test")
				}
				for _, r := range tested.Results {
					if !r.Passed {
						t.Errorf("%s: expected %v, got %v: %v\n%s", r.At, r.Want, r.Got, r.Why, s.Text)
					}
				}
				for _, name := range s.Variables {
					if !strings.Contains(s.Text, "${"+name+"}") {
						t.Errorf("%s is not in\n%s", name, s.Text)
					}
				}
				if strings.Contains(s.Text, "${NAME}\"") || len(s.Variables) < 2 {
					t.Errorf("variables %v of\n%s", s.Variables, s.Text)
				}
				for line := range strings.Lines(s.Text) {
					if strings.Contains(line, "# ") && utf8.RuneCountInString(line) > 120 {
						t.Errorf("too wide: %s", line)
					}
				}
			})
		}
	}
}

// A starter names the setting without which its destination skips everybody; with it, check does not warn.
func TestStarterAsksForConsent(t *testing.T) {
	t.Parallel()
	s, err := offline.NewStarter("pollqr", "mailchimp")
	if err != nil {
		t.Fatal(err)
	}
	if asked := `#roles: {"QUESTION": consent}`; !strings.Contains(s.Text, asked) || s.Examples[0] != "roles" {
		t.Fatalf("no %q in\n%s", asked, s.Text)
	}
	env := func(name string) (string, bool) {
		return "0123456789abcdef0123456789abcdef-us6", !strings.HasPrefix(name, "SURVEYGATE_")
	}
	for text, want := range map[string]int{s.Text: 1, strings.Replace(s.Text, "#roles", "roles", 1): 0} {
		file := filepath.Join(t.TempDir(), "surveygate.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		checked, err := offline.Check(offline.Options{Config: file, Env: env}, "")
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if len(checked.Warnings) != want {
			t.Errorf("warned of %v, want %d\n%s", checked.Warnings, want, text)
		}
	}
	if s, err := offline.NewStarter("pollqr", "slack"); err != nil || strings.Contains(s.Text, "consent}\n") {
		t.Errorf("%v\n%s", err, s.Text)
	}
}

func TestStarterRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"polqr", "slack", "there is no platform `polqr`; did you mean `pollqr`?"},
		{"pollqr", "slak", "there is no product `slak`; did you mean `slack`?"},
		{"pollqr", "xyzzyxyzzy", "one of: airtable, "},
	} {
		if _, err := offline.NewStarter(c[0], c[1]); err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%v: %v", c, err)
		}
	}
}
