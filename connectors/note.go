package connectors

import (
	"html"
	"strings"
	"unicode/utf8"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// NoteMark returns the mark that identifies a response in a note: `[sg:CODE]`, with its ResponseCode.
func NoteMark(code string) string { return "[sg:" + code + "]" }

// NoteHTML returns a note about a response as HTML of at most limit runes: text, or a default with score, feedback and survey
// if text is empty, followed by mark. Respondents' texts are escaped in it. The respondent is left out, because the note is on
// their record. The error is a Skip if the text comes out empty.
func NoteHTML(ev *event.Event, text expression.Text, mark string, limit int) (string, error) {
	note := standardNote(ev)
	if !text.IsZero() {
		var err error
		if note, err = text.Render(ev, EscapeNote); err != nil {
			return "", err
		}
	}
	if note = strings.TrimSpace(note); note == "" {
		return "", Skip("the text comes out empty")
	}
	end := "<br>" + mark
	return ClipHTML(lineBreaks.Replace(note), limit-utf8.RuneCountInString(end)) + end, nil
}

// RetractedNoteHTML returns the note of NoteHTML, of at most limit runes, after a first line with NoLongerSo.
func RetractedNoteHTML(ev *event.Event, text expression.Text, mark string, limit int) (string, error) {
	const begin = "<b>" + NoLongerSo + "</b><br>"
	note, err := NoteHTML(ev, text, mark, limit-len(begin))
	return begin + note, err
}

var lineBreaks = strings.NewReplacer("\r\n", "<br>", "\n", "<br>")

func standardNote(ev *event.Event) string {
	about := MessageFor(ev)
	lines := []string{EscapeNote(about.Title)}
	for _, f := range about.Fields {
		if f.Name != "Customer" {
			lines = append(lines, f.Name+": "+EscapeNote(f.Value))
		}
	}
	return strings.Join(lines, "\n")
}

// EscapeNote escapes a respondent's text for HTML, and breaks any mark in it: otherwise a mark in the feedback would make a search
// find another response's note.
func EscapeNote(text string) string {
	return strings.ReplaceAll(html.EscapeString(text), "[sg:", "&#91;sg:")
}

// ClipHTML shortens HTML as Clip does, without cutting an entity (`&amp;`) or a tag in half, whose remains would be shown.
func ClipHTML(text string, limit int) string {
	if len(text) <= limit || utf8.RuneCountInString(text) <= limit {
		return text
	}
	text = strings.TrimSuffix(Clip(text, limit), "…")
	for _, pair := range []string{"&;", "<>"} {
		if at := strings.LastIndexByte(text, pair[0]); at >= 0 && !strings.Contains(text[at:], pair[1:]) && (pair[0] == '<' || at > len(text)-len("&quot;")) {
			text = text[:at]
		}
	}
	return text + "…"
}
