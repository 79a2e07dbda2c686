package command

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	_ "github.com/surveygate/surveygate/connectors/all"
)

// What no flag says is asked for, until the answer is known; the file's own name is the default.
func TestInitAsks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		given          starting
		answers        string
		source, to     string
		out, says, err string
	}{
		{starting{out: "a.yaml"}, "polqr\npollqr\nslack\n\n", "pollqr", "slack", "a.yaml", "did you mean `pollqr`?", ""},
		{starting{out: "a.yaml"}, "popsee\nwebhook\nb.yaml\n", "popsee", "webhook", "b.yaml", "Where do its events go?", ""},
		{starting{out: "a.yaml", to: "slack"}, "tally\nb.yaml\n", "tally", "slack", "b.yaml", "[a.yaml]", ""},
		{starting{out: "a.yaml"}, "pollqr\n", "pollqr", "", "a.yaml", "", "nothing was written"},
	} {
		var out bytes.Buffer
		s := c.given
		s.globals = &globals{out: &out}
		err := s.ask(bufio.NewReader(strings.NewReader(c.answers)), true)
		if s.source != c.source || s.to != c.to || s.out != c.out || !strings.Contains(out.String(), c.says) || (err == nil) != (c.err == "") {
			t.Errorf("%q: %s to %s in %s, %v\n%s", c.answers, s.source, s.to, s.out, err, out.String())
		}
	}
}
