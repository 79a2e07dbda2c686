package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/config"
)

const platformsOpening = "<!-- Derived by `make docs`; change the profiles beside this page instead. -->\n" + `
# Platforms

What surveygate understands without a line of code: each profile in this folder says how one platform proves its
requests and what its fields mean. A source names one:

` + "```yaml" + `
sources:
  pollqr: {profile: pollqr, secrets: ["${POLLQR_SECRET}"]}
` + "```" + `

- The URL to paste into the platform is printed by ` + "`surveygate check`" + `: ` + "`/in/SOURCE`" + `, and with a path token ` + "`/in/SOURCE/TOKEN`" + `.
- ` + "`surveygate secret`" + ` makes secrets, ` + "`surveygate secret --for path`" + ` path tokens. While one is changed, ` + "`secrets`" + ` takes both, the new one first.
- A platform that proves nothing has its URL as the only secret: ` + "`path_token`" + `, or ` + "`unverified: true`" + ` where anybody may send.
  ` + "`path_token`" + ` and ` + "`allow_from`" + ` do beside every proof.
- ` + "`roles`" + ` say what a question is (` + "`roles: {\"2\": feedback}`" + `), ` + "`surveys: {ID: {roles: …}}`" + ` what it is in one survey: no platform's
  rating is an NPS unless it says so itself.
- ` + "`surveygate emit --sample NAME --source SOURCE`" + ` publishes the sample of a platform.
- What fills no field is not lost: ` + "`raw(\"path\")`" + ` reads it from the body.
- A platform that is not here: [ten minutes](ADDING.md).

`

// platforms is the page of all platforms.
func platforms(all []config.Platform) (file, error) {
	var b strings.Builder
	b.WriteString(platformsOpening)
	b.WriteString("| Platform | Profile | Body | Proof | A source needs |\n| --- | --- | --- | --- | --- |\n")
	for _, p := range all {
		if p.About.Title == "" || len(p.About.Docs) == 0 || len(p.About.Setup) == 0 {
			return file{}, fmt.Errorf("the profile %s has no title, docs or setup", p.Name)
		}
		fmt.Fprintf(&b, "| [%s](#%s) | `%s` | %s | %s | %s |\n", p.About.Title, anchor(p.About.Title), p.Name, p.Decode, proofs(p), needs(p))
	}
	for _, p := range all {
		platform(&b, p)
	}
	return file{path: "configs/sources/README.md", text: []byte(b.String())}, nil
}

// anchor is how pages name the place of a heading.
func anchor(title string) string { return strings.ReplaceAll(strings.ToLower(title), " ", "-") }

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

func proofs(p config.Platform) string {
	if len(p.Proof) == 0 {
		return "none"
	}
	return cell(strings.Join(p.Proof, "; "))
}

func needs(p config.Platform) string {
	if !p.Secrets {
		return "`path_token`"
	}
	all := []string{"`secrets`"}
	for _, name := range p.Vars {
		all = append(all, "`vars: {"+name+": …}`")
	}
	return strings.Join(all, ", ")
}

func platform(b *strings.Builder, p config.Platform) {
	fmt.Fprintf(b, "\n## %s\n\n", p.About.Title)
	for i, address := range p.About.Docs {
		if i > 0 {
			b.WriteString(" · ")
		}
		b.WriteString("<" + address + ">")
	}
	fmt.Fprintf(b, "\n\n```yaml\nsources:\n  %s:\n    profile: %s\n", p.Name, p.Name)
	env := strings.ToUpper(p.Name)
	if p.Secrets {
		fmt.Fprintf(b, "    secrets: [\"${%s_SECRET}\"]\n", env)
	} else {
		fmt.Fprintf(b, "    path_token: \"${%s_PATH_TOKEN}\"\n", env)
	}
	if len(p.Vars) > 0 {
		b.WriteString("    vars:\n")
		for _, name := range p.Vars {
			fmt.Fprintf(b, "      %s: \"${%s_%s}\"\n", name, env, strings.ToUpper(name))
		}
	}
	b.WriteString("```\n\n")
	for i, step := range p.About.Setup {
		fmt.Fprintf(b, "%d. %s\n", i+1, step)
	}
	if p.About.Script != "" {
		fmt.Fprintf(b, "\n```%s\n%s\n```\n", p.About.Language, strings.TrimRight(p.About.Script, "\n"))
	}
	b.WriteString("\n| It sends | which is |\n| --- | --- |\n")
	for _, e := range p.Events {
		fmt.Fprintf(b, "| %s | `%s` |\n", cell(e.Own), e.Canonical)
	}
	switch {
	case len(p.Proof) == 0:
		b.WriteString("\nProof: none in the request; its URL is the secret.\n")
	case p.Optional:
		fmt.Fprintf(b, "\nProof: %s; only where the platform was given a secret.\n", strings.Join(p.Proof, "; "))
	default:
		fmt.Fprintf(b, "\nProof: %s.\n", strings.Join(p.Proof, "; "))
	}
	if len(p.Hints) > 0 {
		fmt.Fprintf(b, "Not signed, and read for the type alone: `%s`.\n", strings.Join(p.Hints, "`, `"))
	}
	fmt.Fprintf(b, "Duplicates share `%s`.\n", p.Dedupe)
	for _, of := range p.DedupeOf {
		fmt.Fprintf(b, "Those of `%s` share `%s`.\n", of.Type, of.Key)
	}
	if len(p.About.Traps) > 0 {
		b.WriteString("\nTraps:\n\n")
		for _, trap := range p.About.Traps {
			b.WriteString("- " + trap + "\n")
		}
	}
	if len(p.About.Unmapped) > 0 {
		b.WriteString("\nFills no field: ")
		for i, place := range slices.Sorted(maps.Keys(p.About.Unmapped)) {
			if i > 0 {
				b.WriteString("; ")
			}
			fmt.Fprintf(b, "`%s` (%s)", place, p.About.Unmapped[place])
		}
		b.WriteString(".\n")
	}
}
