package document

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSyntax: a file that is not YAML says where and what to write instead, though the library knows only the
// line of the mapping around it.
func TestSyntax(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, line, want string }{
		{
			"colon in a plain value", `    when: feedback contains ": "`, `
x.yaml:4:30: a colon and a space begin a new key in YAML
    4 |     when: feedback contains ": "
      |                              ^ put the whole value in quotes: when: 'feedback contains ": "'`,
		},
		{
			"hole without quotes", `    text: {{ nps_score }}`, `
x.yaml:4:11: ` + "`{{`" + ` opens a mapping in YAML, not a hole in a text
    4 |     text: {{ nps_score }}
      |           ^~~~~~~~~~~~~~~ put the text in quotes: text: "{{ nps_score }}"`,
		},
		{
			"hole and more without quotes", `    text: {{ nps_score }} of "10"`, `
x.yaml:4:11: ` + "`{{`" + ` opens a mapping in YAML, not a hole in a text
    4 |     text: {{ nps_score }} of "10"
      |           ^~~~~~~~~~~~~~~~~~~~~~~ put the text in quotes: text: '{{ nps_score }} of "10"'`,
		},
		{
			"hole within a flow", `    slack: {text: NPS {{ nps_score }}, channel: x}`, `
x.yaml:4:19: ` + "`{{`" + ` opens a mapping in YAML, not a hole in a text
    4 |     slack: {text: NPS {{ nps_score }}, channel: x}
      |                   ^~~~~~~~~~~~~~~~~~~ put the text in quotes: text: "NPS {{ nps_score }}"`,
		},
		{
			"inner quotes", `    text: "{{ answer("4") }}"`, `
x.yaml:4:22: the quotes of the text end here
    4 |     text: "{{ answer("4") }}"
      |                      ^~~~~~~ inside double quotes write single ones: text: "{{ answer('4') }}"`,
		},
		{
			"inner quotes within a flow", `    slack: {text: "{{ answer("4") }}"}`, `
x.yaml:4:30: the quotes of the text end here
    4 |     slack: {text: "{{ answer("4") }}"}
      |                              ^~~~~~~ inside double quotes write single ones: text: "{{ answer('4') }}"`,
		},
		{
			"apostrophe", `    text: 'it's'`, `
x.yaml:4:14: the quotes of the text end here
    4 |     text: 'it's'
      |              ^~ inside single quotes write it twice: text: 'it''s'`,
		},
		{
			"a value that begins with quotes", `    when: "nps" in survey.title`, `
x.yaml:4:11: the quotes end before the value
    4 |     when: "nps" in survey.title
      |           ^~~~~ put the whole value in quotes: when: '"nps" in survey.title'`,
		},
		{
			"not as a tag", `    when: !has(email)`, `
x.yaml:4:11: ` + "`!has(email)`" + ` is a tag to YAML, not an expression
    4 |     when: !has(email)
      |           ^~~~~~~~~~~ write when: not has(email)`,
		},
		{
			"not as a tag within a flow", `    x: {when: !(nps_score <= 6), name: x}`, `
x.yaml:4:15: ` + "`!(nps_score`" + ` is a tag to YAML, not an expression
    4 |     x: {when: !(nps_score <= 6), name: x}
      |               ^~~~~~~~~~~~~~~~~ write when: not (nps_score <= 6)`,
		},
		{
			"not that YAML would drop silently", `    when: ! has(email)`, `
x.yaml:4:11: ` + "`!`" + ` is a tag to YAML, not an expression
    4 |     when: ! has(email)
      |           ^~~~~~~~~~~~ write when: not has(email)`,
		},
		{
			"tab", "\twhen: 1", "\nx.yaml:4:1: there is a tab in the indentation\n    4 | \twhen: 1\n      | ^ YAML needs spaces: use two for each level",
		},
		{
			"too deep", `     when: 1`, `
x.yaml:4:6: this line is indented deeper than the one above, which already has a value
    4 |      when: 1
      |      ^~~~~~~ begin it in column 5, or remove the value of ` + "`name`" + ``,
		},
		{
			"between two levels", `   when: 1`, `
x.yaml:4:4: this line is between two levels of indentation
    4 |    when: 1
      |    ^~~~~~~ begin it in the column of the lines it belongs to`,
		},
		{
			"key among dashes", `  when: 1`, `
x.yaml:4:3: this key is in the column of a list's dashes
    4 |   when: 1
      |   ^~~~~~~ to make it part of the entry above, begin it in column 5; otherwise begin it further left`,
		},
		{
			"star", `    events: [*]`, `
x.yaml:4:14: a value cannot begin with ` + "`*`" + ` in YAML
    4 |     events: [*]
      |              ^ put it in quotes: "*"`,
		},
		{
			"lone star", `    tenant: *`, `
x.yaml:4:13: a value cannot begin with ` + "`*`" + ` in YAML
    4 |     tenant: *
      |             ^ put it in quotes: tenant: "*"`,
		},
		{
			"unknown alias", `    tenant: *all`, `
x.yaml:4:13: ` + "`*all` refers to `&all`" + `, which is not defined above
    4 |     tenant: *all
      |             ^~~~ put a text that begins with * in quotes`,
		},
		{
			"at sign", `    text: @here {{ nps_score }}`, `
x.yaml:4:11: a value cannot begin with ` + "`@`" + ` in YAML
    4 |     text: @here {{ nps_score }}
      |           ^~~~~~~~~~~~~~~~~~~~~ put it in quotes: text: "@here {{ nps_score }}"`,
		},
		{
			"no space behind the colon", `    when:nps_score <= 6`, `
x.yaml:4:5: ` + "`when:`" + ` needs a space after the colon
    4 |     when:nps_score <= 6
      |     ^~~~~ write when: nps_score <= 6`,
		},
		{
			"open bracket", `    events: [a, b`, `
x.yaml:4:13: ` + "`[`" + ` is not closed, or a comma is missing within it
    4 |     events: [a, b
      |             ^ put ] at its end and commas between its entries`,
		},
		{
			"open quote", `    text: "NPS`, `
x.yaml:4:11: the quote ` + "`\"`" + ` is not closed
    4 |     text: "NPS
      |           ^ put " at the end of the text`,
		},
		{
			"backslash", `    when: "email matches '\d+'"`, `
x.yaml:4:27: ` + "`\\d`" + ` is not a valid escape within double quotes
    4 |     when: "email matches '\d+'"
      |                           ^~ put the value in single quotes, where a backslash is literal: 'email matches ''\d+'''`,
		},
		{
			"missing comma", `    x: {a: 1 b: 2}`, `
x.yaml:4:15: a colon and a space begin a new key in YAML
    4 |     x: {a: 1 b: 2}
      |               ^ put a comma before b, or put the whole value in quotes: a: '1 b: 2'`,
		},
		{
			"twice", `    name: y`, `
x.yaml:4:5: ` + "`name`" + ` is written twice here
    4 |     name: y
      |     ^~~~ it is also on line 3: keep one`,
		},
		{
			"word alone", `    enabled`, `
x.yaml:4:5: ` + "`enabled`" + ` is neither a key nor an entry of a list
    4 |     enabled
      |     ^~~~~~~ write enabled: and its value, or put - before it`,
		},
		{
			"variable without quotes", `    secrets: [${SECRET}]`, `
x.yaml:4:15: within brackets a ` + "`{`" + ` opens a mapping in YAML
    4 |     secrets: [${SECRET}]
      |               ^~~~~~~~~ put it in quotes: "${SECRET}"`,
		},
		{
			"entry among keys", "    send:\n    - a\n    delay: 1s\n    - b", `
x.yaml:7:5: this entry of a list is in the column of keys
    7 |     - b
      |     ^~~ add a key for the list above it`,
		},
		{
			"second document", `---`, `
x.yaml:4:1: a second document begins here
    4 | ---
      | ^~~ a file contains one document: remove the ` + "`---`" + `, or move the second document to another file`,
		},
		{
			"control character", "    text: a\x07b", "\nx.yaml:4:12: there is a control character (U+0007) here\n    4 |     text: a�b\n      |            ^ remove it; within double quotes it can be written as \\u0007",
		},
		{
			"not UTF-8", "    text: a\xffb", "\nx.yaml:4:12: this is not UTF-8\n    4 |     text: a�b\n      |            ^ save the file as UTF-8",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, faults := Parse("x.yaml", []byte("a: 1\nrules:\n  - name: x\n"+tt.line+"\n    send: []\nb: 2\n"))
			if diff := cmp.Diff(strings.TrimPrefix(tt.want, "\n"), faults.Error()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
