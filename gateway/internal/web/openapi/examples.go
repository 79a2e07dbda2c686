package openapi

import (
	"regexp"
	"strings"
)

// Example is one request of the API's page, which a test makes, and its answer where the page shows all of it.
type Example struct {
	Command string
	// Body and Answer are nil where they are no JSON object, or not shown whole.
	Body, Answer *Object
}

var (
	blocks    = regexp.MustCompile("(?s)```(sh|text)\n(.*?)```")
	commands  = regexp.MustCompile(`(?m)^curl (?:[^\n]*\\\n)*[^\n]*`)
	addresses = regexp.MustCompile(`https?://127\.0\.0\.1:\d+(/[^ "'?\n]*)`)
	methods   = regexp.MustCompile(`-X ([A-Z]+)`)
	bodies    = regexp.MustCompile(`(?s)-d '([^']*)'`)
)

// examplesOf returns the requests of a page by operation, as `GET /v1/events/{id}`.
func examplesOf(page []byte, paths Paths) map[string][]Example {
	all := map[string][]Example{}
	last := "" // the operation of the one command of the block above
	for _, block := range blocks.FindAllStringSubmatch(string(page), -1) {
		if block[1] == "text" {
			if n := len(all[last]); last != "" && n > 0 && !strings.Contains(block[2], `"…"`) { // a value left out
				if answer, err := Parse([]byte(strings.ReplaceAll(block[2], "\n", ""))); err == nil {
					all[last][n-1].Answer = answer
				}
			}
			last = ""
			continue
		}
		found := commands.FindAllString(block[2], -1)
		for _, command := range found {
			address := addresses.FindStringSubmatch(command)
			if address == nil {
				continue
			}
			path := paths.Of(address[1])
			if path == "" {
				continue
			}
			e := Example{Command: strings.TrimSpace(command)}
			method := "GET"
			if match := bodies.FindStringSubmatch(command); match != nil {
				method = "POST"
				if body, err := Parse([]byte(match[1])); err == nil {
					e.Body = body
				}
			} else if strings.Contains(command, "--data-binary") {
				method = "POST"
			}
			if match := methods.FindStringSubmatch(command); match != nil {
				method = match[1]
			}
			last = method + " " + path
			all[last] = append(all[last], e)
		}
		if len(found) != 1 {
			last = ""
		}
	}
	return all
}
