package view

import "fmt"

// Warning is a sentence about what a person should look at, for readiness.
type Warning struct {
	Text string
	// Hidden is set if Text names something that is not public (config.Public): what it names, in the plural, and what is wrong.
	Hidden string
}

// Public returns a warning that names nothing that is not public.
func Public(text string) Warning { return Warning{Text: text} }

// Sentences returns the warnings as they are shown. If not whole, the hidden ones of one kind are one sentence with their number.
func Sentences(all []Warning, whole bool) []string {
	var texts []string
	var kinds []string
	hidden := map[string]int{}
	for _, w := range all {
		switch {
		case whole || w.Hidden == "":
			texts = append(texts, w.Text)
		default:
			if hidden[w.Hidden]++; hidden[w.Hidden] == 1 {
				kinds = append(kinds, w.Hidden)
			}
		}
	}
	for _, kind := range kinds {
		texts = append(texts, fmt.Sprintf("%s: %d; who asks with a token for `*` that may read, or over the control socket, is told which", kind, hidden[kind]))
	}
	return texts
}
