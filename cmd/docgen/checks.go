package main

import (
	"fmt"
	"strings"

	"github.com/surveygate/surveygate/gateway/config/checks"
)

const checksOpening = derived + `
# What ` + "`check`" + ` warns of

A fault prevents a start. A warning is about what is valid and probably not meant. ` + "`surveygate check`" + ` prints each with its place and its
code, and with ` + "`--strict`" + ` it ends with exit code 1 if there are any, for CI. ` + "`surveygate check --explain SG1101`" + ` prints what stands here.

Where something is meant as it is, a comment silences the code, with a reason if you like:

` + "```yaml" + `
webhooks:
  - {name: crm, url: "https://crm.example.com/in", signature: none, body: event}
rules:
  # surveygate: ignore SG1101 until the new survey is out
  - name: extremes
    when: nps_score > 8 and nps_score < 3
    send: [crm]
` + "```" + `

- It applies to its own line, with a text of several lines that begins there. Alone on a line it applies to the line below it and the other
  comments; directly above a rule, connection, webhook or source, to all of that.
- Several codes are separated by commas. A code that does not exist, and one that is not reported there, is a warning itself.
- Documents that are stored by API have the same warnings, except where it says that only files are checked. They are stored without
  comments, so a comment silences nothing in them.
- A running gateway reports no warnings about its files: run ` + "`check`" + ` before ` + "`reload`" + `. The API shows those about documents, with their codes.
- What is said of conditions is proved, and holds for every event. Not everything is found: values of different names count as independent.

`

// checked is the page of all warnings.
func checked() file {
	var b strings.Builder
	b.WriteString(checksOpening)
	b.WriteString("| Code | Warning |\n| --- | --- |\n")
	for _, c := range checks.All() {
		fmt.Fprintf(&b, "| [%s](#%s) | %s |\n", c.Code, strings.ToLower(string(c.Code)), cell(c.Title))
	}
	for _, c := range checks.All() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n%s", c.Code, c.Title, c.Why)
		if scope := c.Scope(); scope != "" {
			b.WriteString(" " + scope)
		}
		b.WriteString("\n\n")
		sample(&b, c.Example)
		if c.Document != nil {
			fmt.Fprintf(&b, "With `%s` of a tenant, stored by API:\n\n```json\n%s```\n\n", c.Document.Name, c.Document.Spec)
		}
		fmt.Fprintf(&b, "%s Without the warning:\n\n", c.Do)
		sample(&b, c.Mended)
	}
	return file{path: "configs/CHECKS.md", text: []byte(strings.TrimSuffix(b.String(), "\n"))}
}

// sample writes a configuration. One that needs further files is no YAML, as which it would be loaded by a test.
func sample(b *strings.Builder, text string) {
	language := "yaml"
	if strings.Contains(text, "\n-- ") || strings.Contains(text, "tls:") {
		language = "text"
	}
	fmt.Fprintf(b, "```%s\n%s```\n\n", language, text)
}
