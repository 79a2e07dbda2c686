package config_test

import (
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/config"
)

// A configuration with nothing in it works, and is hardly what somebody meant.
func TestEmptyIsWarnedOf(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "# nothing yet\n", "listen: 127.0.0.1:0\n", "sources:\nrules: []\n"} {
		c := load(t, config.Options{}, text)
		if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].Message, "nothing is configured") {
			t.Errorf("%q: %v", text, c.Warnings)
		}
	}
	if c := load(t, config.Options{}, "sources: {pollqr: {profile: pollqr, secrets: [s]}}\n"); len(c.Warnings) > 0 {
		t.Errorf("warned: %v", c.Warnings)
	}
}
