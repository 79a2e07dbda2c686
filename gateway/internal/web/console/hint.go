package console

import (
	"regexp"

	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

// hintPart is a piece of a hint: text, or an act in place of the command that does it.
type hintPart struct {
	Text string
	// Act is the name of the button, Page where it is, below the tenant's pages.
	Act, Page string
}

var commandInHint = regexp.MustCompile(`surveygate (dead replay|dead drop|destinations resume) ([A-Za-z0-9_-]+)`)

// hint cuts a hint of the API, which names commands, into text and what does the same on a page.
func hint(text string) (parts []hintPart) {
	for text != "" {
		at := commandInHint.FindStringSubmatchIndex(text)
		if at == nil {
			return append(parts, hintPart{Text: text})
		}
		if at[0] > 0 {
			parts = append(parts, hintPart{Text: text[:at[0]]})
		}
		did, of := text[at[2]:at[3]], text[at[4]:at[5]]
		switch did {
		case "dead replay":
			parts = append(parts, hintPart{Act: "Try now", Page: page.Path("/deliveries", of)})
		case "dead drop":
			parts = append(parts, hintPart{Act: "Drop", Page: page.Path("/deliveries", of)})
		case "destinations resume":
			parts = append(parts, hintPart{Act: "Resume", Page: page.Path("/destinations", of)})
		}
		text = text[at[1]:]
	}
	return parts
}
