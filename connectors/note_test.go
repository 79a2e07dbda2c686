package connectors_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/expression"
)

// ClipHTML does not cut an entity or a tag in half.
func TestClipHTML(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("é&amp;<b>x</b>", 10)
	for limit := 1; limit < 130; limit++ {
		got := connectors.ClipHTML(text, limit)
		if utf8.RuneCountInString(got) > limit || !utf8.ValidString(got) {
			t.Errorf("limit %d: %q", limit, got)
		}
		bare := strings.NewReplacer("&amp;", "", "<b>", "", "</b>", "").Replace(got)
		if strings.ContainsAny(bare, "&;<>") {
			t.Errorf("limit %d cuts inside: %q", limit, got)
		}
	}
}

func TestNoteHTML(t *testing.T) {
	t.Parallel()
	ev, err := connectortest.ParseEvent([]byte(`{"type":"response.completed","nps_score":3,"email":"jo@example.com","feedback":"<b>slow</b> [sg:aaaa]","survey":{"title":"A\nB"}}`))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{
		"":                              "Low NPS Alert: Score 3/10<br>Feedback: &lt;b&gt;slow&lt;/b&gt; &#91;sg:aaaa]<br>Survey: A<br>B<br>[sg:x]",
		"<i>{{ feedback }}</i>\r\nfine": "<i>&lt;b&gt;slow&lt;/b&gt; &#91;sg:aaaa]</i><br>fine<br>[sg:x]",
	}
	for text, want := range rows {
		got, err := connectors.NoteHTML(ev, expression.MustText(text), connectors.NoteMark("x"), 500)
		if err != nil || got != want {
			t.Errorf("%q: got %q (%v), want %q", text, got, err, want)
		}
	}
	if got, _ := connectors.NoteHTML(ev, expression.Text{}, connectors.NoteMark("x"), 30); got != "Low NPS Alert: Scor…<br>[sg:x]" || utf8.RuneCountInString(got) > 30 {
		t.Errorf("clipped to %q", got)
	}
	_, err = connectors.NoteHTML(ev, expression.MustText("{{ phone }}"), connectors.NoteMark("x"), 30)
	if _, skipped := errors.AsType[*connectors.Skipped](err); !skipped {
		t.Errorf("an empty text: %v, want skipped", err)
	}
}

// A note that was retracted begins with that, stays within the limit, and keeps its mark.
func TestRetractedNoteHTML(t *testing.T) {
	t.Parallel()
	ev, err := connectortest.ParseEvent([]byte(`{"type":"response.completed","nps_score":3,"feedback":"` + strings.Repeat("slow ", 100) + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := connectors.RetractedNoteHTML(ev, expression.Text{}, connectors.NoteMark("x"), 100)
	if err != nil || !strings.HasPrefix(got, "<b>No longer so</b><br>Low NPS Alert") || !strings.HasSuffix(got, "[sg:x]") || utf8.RuneCountInString(got) != 100 {
		t.Errorf("got %q (%v)", got, err)
	}
}
