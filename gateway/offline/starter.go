package offline

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/config/checks"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/rules/event"
)

// Starter is a first configuration: one source, one destination, and one rule with a test.
type Starter struct {
	Text string
	// Variables are the environment variables that it needs, in their order.
	Variables []string
	// Event is an event that the rule matches.
	Event string
	// Examples are settings whose values are examples, to be replaced.
	Examples []string
}

// StarterWebhook is the destination of a starter that is no product.
const StarterWebhook = "webhook"

// StarterDestinations returns what a starter can send to: the products that the reference describes, and StarterWebhook.
func StarterDestinations() []string {
	all := slices.DeleteFunc(connectors.Products(), func(name string) bool { return settingsOf(name) == nil })
	return append(all, StarterWebhook)
}

// NewStarter returns a starter for a platform and a destination.
func NewStarter(platform, destination string) (*Starter, error) {
	platforms := config.Platforms()
	at := slices.IndexFunc(platforms, func(p config.Platform) bool { return p.Name == platform })
	if at < 0 {
		names := make([]string, len(platforms))
		for i := range platforms {
			names[i] = platforms[i].Name
		}
		return nil, unknownName("platform", platform, names)
	}
	if names := StarterDestinations(); !slices.Contains(names, destination) {
		return nil, unknownName("product", destination, names)
	}
	if destination == StarterWebhook {
		return starterOf(&platforms[at], destination, nil), nil
	}
	// Some products take one of several credentials, and none of these settings is required: the first that loads is the one.
	var needed, others []setting
	for _, s := range settingsOf(destination) {
		if s.required {
			needed = append(needed, s)
		} else {
			others = append(others, s)
		}
	}
	s := starterOf(&platforms[at], destination, needed)
	loaded, err := s.load()
	for i := 0; err != nil && i < len(others); i++ {
		with := starterOf(&platforms[at], destination, append(slices.Clone(needed), others[i]))
		if c, fault := with.load(); fault == nil {
			s, loaded, err = with, c, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("a configuration of %s for %s: %w", platform, destination, err)
	}
	if slices.ContainsFunc(loaded.Warnings, func(f document.Fault) bool { return f.Code == string(checks.NoConsent) }) {
		s.askConsent()
	}
	return s, nil
}

func unknownName(what, name string, names []string) error {
	hint := "one of: " + strings.Join(names, ", ")
	if near := event.Nearest(name, names); near != "" {
		hint = "did you mean `" + near + "`?"
	}
	return fmt.Errorf("there is no %s `%s`; %s", what, name, hint)
}

// load reports the faults of the text, which is not in a file yet.
func (s *Starter) load() (c *config.Config, err error) {
	dir, err := os.MkdirTemp("", "surveygate-init-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "surveygate.yaml")
	err = os.WriteFile(file, []byte(s.Text), 0o600)
	if err == nil {
		c, err = Options{Config: file, Env: func(string) (string, bool) { return "", false }}.load(true)
	}
	return c, errors.Join(err, os.RemoveAll(dir))
}

// askConsent adds to the source which setting says who has consented, because the destination skips everybody else.
func (s *Starter) askConsent() {
	const next = "\nconnections:\n"
	var b strings.Builder
	comment(&b, "    ", "The destination skips respondents without a consent. Put the question that asks for it in place of QUESTION, and remove the # before roles.")
	b.WriteString("    #roles: {\"QUESTION\": consent}\n")
	s.Text = strings.Replace(s.Text, next, b.String()+next, 1)
	s.Examples = append([]string{"roles"}, s.Examples...)
}

// starterOf writes a starter with these settings of the destination.
func starterOf(p *config.Platform, destination string, settings []setting) *Starter {
	s := &Starter{}
	var b strings.Builder
	b.WriteString(starterOpening)
	fmt.Fprintf(&b, "sources:\n  %s:\n    profile: %s\n", p.Name, p.Name)
	for i, step := range p.About.Setup {
		comment(&b, "    ", fmt.Sprintf("%d. %s", i+1, step))
	}
	env := strings.ToUpper(p.Name)
	if p.Secrets {
		fmt.Fprintf(&b, "    secrets: [\"%s\"]\n", s.variable(env+"_SECRET"))
	} else {
		comment(&b, "    ", "The secret part of the URL; `surveygate secret --for path` makes one.")
		fmt.Fprintf(&b, "    path_token: \"%s\"\n", s.variable(env+"_PATH_TOKEN"))
	}
	for i, name := range p.Vars {
		if i == 0 {
			b.WriteString("    vars:\n")
		}
		fmt.Fprintf(&b, "      %s: \"%s\"\n", name, s.variable(env+"_"+strings.ToUpper(name)))
	}
	name := "my-" + destination
	if destination == StarterWebhook {
		fmt.Fprintf(&b, "\nwebhooks:\n  - name: %s\n", name)
		comment(&b, "    ", "Your receiver. To try it on this machine, see `surveygate listen --help`.")
		b.WriteString("    url: https://hook.example.com/in\n")
		s.Examples = append(s.Examples, "url")
		comment(&b, "    ", "What the receiver verifies signatures with; `surveygate secret` makes one.")
		fmt.Fprintf(&b, "    secrets: [\"%s\"]\n", s.variable("HOOK_SECRET"))
	} else {
		fmt.Fprintf(&b, "\nconnections:\n  %s:\n    %s:\n", name, destination)
		for _, set := range settings {
			text := set.about
			if !set.secret {
				text += " This value is an example: write yours."
				s.Examples = append(s.Examples, set.name)
			}
			comment(&b, "      ", text)
			for _, line := range set.value {
				if set.secret {
					line = strings.ReplaceAll(line, "${NAME}", s.variable(strings.ToUpper(destination+"_"+set.name)))
				}
				b.WriteString("      " + line + "\n")
			}
		}
	}
	b.WriteString("\nrules:\n")
	rule, given := "completed", ""
	if slices.Contains(p.Fills, event.Shortcuts["nps_score"]) {
		rule, given = "detractor", "nps_score: 3, "
	}
	fmt.Fprintf(&b, "  - name: %s\n", rule)
	if given != "" {
		comment(&b, "    ", "A response without a score does not match. `surveygate fields` lists what conditions can use.")
		b.WriteString("    when: nps_score <= 6\n")
	} else {
		comment(&b, "    ", "Every completed response, because "+p.About.Title+" names no score as an NPS. `roles` of the source can: roles: {\"QUESTION\": nps_score}. "+
			"Then a condition is possible, such as when: nps_score <= 6. `surveygate fields` lists what conditions can use.")
	}
	fmt.Fprintf(&b, "    send: [%s]\n    tests:\n", name)
	score := ""
	if given != "" {
		score = ` "nps_score": 3,`
	}
	s.Event = `{"type": "response.completed",` + score + "\n    " + `"email": "jo@example.com", "consent": true}`
	person := "email: jo@example.com, consent: true, response: {id: r1}"
	fmt.Fprintf(&b, "      - {given: {%s%s}, expect: [%s]}\n", given, person, name)
	if given != "" {
		fmt.Fprintf(&b, "      - {given: {nps_score: 9, %s}, expect: []}\n", person)
	}
	s.Text = b.String()
	return s
}

const starterOpening = `# A configuration of surveygate: events of one platform, one destination, one rule.
# ${NAME} is an environment variable, ${file:/run/secrets/name} a file.
# Every setting: https://github.com/surveygate/surveygate/blob/main/configs/surveygate.yaml

`

// variable notes a variable, and returns how it is written.
func (s *Starter) variable(name string) string {
	if !slices.Contains(s.Variables, name) {
		s.Variables = append(s.Variables, name)
	}
	return "${" + name + "}"
}

// comment writes a comment in lines that fit a terminal.
func comment(b *strings.Builder, indent, text string) {
	line := indent + "#"
	for word := range strings.FieldsSeq(text) {
		if len([]rune(line))+1+len([]rune(word)) > 80 && line != indent+"#" {
			b.WriteString(line + "\n")
			line = indent + "#"
		}
		line += " " + word
	}
	b.WriteString(cmp.Or(line, indent) + "\n")
}

// StarterName returns why a name is none of these; nil: it is one.
func StarterName(name string, names []string) error {
	if slices.Contains(names, name) {
		return nil
	}
	return unknownName("platform or product", name, names)
}
