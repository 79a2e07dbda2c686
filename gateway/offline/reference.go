package offline

import (
	"strings"

	"github.com/surveygate/surveygate/configs"
)

// setting is one setting of a product in the reference configuration.
type setting struct {
	name, about      string
	required, secret bool
	value            []string // its lines, with an example
}

const (
	productIndent = "#    "   // of `slack:` in the reference
	settingIndent = "#      " // of its settings
)

// settingsOf returns the settings of a product in the reference configuration, in their order; nil: it does not describe the product.
// A setting for which the reference has a variable is a secret.
func settingsOf(product string) []setting {
	_, part, found := strings.Cut(configs.Reference, "\n"+productIndent+product+":\n")
	if !found {
		return nil
	}
	var all []setting
	var about []string
	for line := range strings.Lines(part) {
		text, inside := strings.CutPrefix(strings.TrimRight(line, "\n"), settingIndent)
		if !inside {
			break
		}
		switch comment, isComment := strings.CutPrefix(text, "# "); {
		case isComment:
			about = append(about, comment)
		case strings.HasPrefix(text, " ") || strings.HasPrefix(text, "]"): // goes on with the value above
			all[len(all)-1].value = append(all[len(all)-1].value, text)
		default:
			name, value, _ := strings.Cut(text, ":")
			words := strings.Join(about, " ")
			plain := strings.TrimSuffix(words, " (required).")
			s := setting{name: name, about: words, value: []string{text}, secret: strings.Contains(value, "${NAME}")}
			if s.required = plain != words; s.required {
				s.about = plain + "."
			}
			all, about = append(all, s), nil
		}
	}
	return all
}
