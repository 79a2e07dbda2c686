package source

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/signature"
)

// About is the documentation in a profile. The page of platforms is derived from it; it has no effect on events.
type About struct {
	// Title is the platform's name as the platform writes it.
	Title string `yaml:"title,omitempty"`
	// Docs are pages that describe the platform's requests, preferably its own.
	Docs []string `yaml:"docs,omitempty"`
	// Setup lists the steps to set the platform up.
	Setup []string `yaml:"setup,omitempty"`
	// Script is a script to install at a platform that sends no requests by itself; Language is its language.
	Script   string `yaml:"script,omitempty"`
	Language string `yaml:"language,omitempty"`
	// Traps are facts that surprise people.
	Traps []string `yaml:"traps,omitempty"`
	// Unmapped are places of the body that fill no field, each with the reason. A place includes everything below it; # is
	// every element of a list. Conditions and mappings of rules can read them with raw("path").
	Unmapped map[string]string `yaml:"unmapped,omitempty"`
}

// check returns the faults of the documentation.
func (a *About) check(node *document.Node) document.Faults {
	var faults document.Faults
	for i, address := range a.Docs {
		if !strings.HasPrefix(address, "https://") || strings.ContainsAny(address, " \t\n") {
			faults = append(faults, item(node.Key("docs"), i).Fault(fmt.Sprintf("`%s` is not the address of a page", address), "write https://…"))
		}
	}
	for _, list := range [...]struct {
		name  string
		texts []string
	}{{"setup", a.Setup}, {"traps", a.Traps}} {
		for i, text := range list.texts {
			if strings.TrimSpace(text) == "" || strings.Contains(text, "\n") {
				faults = append(faults, item(node.Key(list.name), i).Fault("an entry must be one line of text", "write a sentence"))
			}
		}
	}
	if (a.Script == "") != (a.Language == "") {
		faults = append(faults, node.Fault("a script needs its language, and a language its script", "write both script and language"))
	}
	for _, pair := range pairs(node.Key("unmapped")) {
		if strings.TrimSpace(pair.Value.Text) == "" {
			faults = append(faults, pair.Key.Fault(fmt.Sprintf("the reason why `%s` is not mapped is missing", pair.Key.Text), "write the reason"))
		}
	}
	return faults
}

// reason returns why a place of the body is not mapped; empty if the profile gives no reason.
func (a *About) reason(place string) string {
	for name, why := range a.Unmapped {
		if place == name || strings.HasPrefix(place, name+".") {
			return why
		}
	}
	return ""
}

// Platform describes a profile for documentation.
type Platform struct {
	Name  string
	About About
	// Decode lists the accepted formats: json, form, multipart.
	Decode string
	// Events are the platform's own event names and their canonical types, sorted by name.
	Events []EventName
	// Proof describes how its requests are verified; empty if they cannot be.
	Proof []string
	// Optional reports that the platform signs only if it has been given a secret.
	Optional bool
	// Hints are fields that the signature does not cover but that may determine the type.
	Hints []string
	// Secrets and Vars are the settings that a source needs to verify requests.
	Secrets bool
	Vars    []string
	// Fills are the fields of an event that the profile fills, by path.
	Fills []string
	// Dedupe is the dedupe key; DedupeOf are the keys of single types, sorted by type.
	Dedupe   string
	DedupeOf []DedupeKey
}

// DedupeKey is the key of events of one canonical type.
type DedupeKey struct{ Type, Key string }

// EventName is a platform's name of an event, or the condition that identifies it, with its canonical type.
type EventName struct{ Own, Canonical string }

// Platform returns the description of a profile.
func (p *Profile) Platform() Platform {
	d := Platform{Name: p.Name, About: p.About, Decode: p.decoders(), Dedupe: p.Dedupe.text, Hints: p.Hints, Fills: p.Fills()}
	for i := range p.Handshake {
		if h := &p.Handshake[i]; h.When != nil {
			d.Events = append(d.Events, EventName{h.When.words(), "test"})
		}
	}
	for i := range p.Type.Rules {
		r := &p.Type.Rules[i]
		d.Events = append(d.Events, EventName{r.When.words(), string(r.Type)})
	}
	names := make([]string, 0, len(p.Type.Map))
	for own := range p.Type.Map {
		names = append(names, own)
	}
	slices.Sort(names)
	for _, own := range names {
		if named := (EventName{"`" + own + "`", string(p.Type.Map[own])}); !slices.Contains(d.Events, EventName{namedBy(p.Type.Path, own), named.Canonical}) {
			d.Events = append(d.Events, named)
		}
	}
	if p.Type.Default != "" && p.Type.Default != "unknown" {
		d.Events = append(d.Events, EventName{"everything else", string(p.Type.Default)})
	}
	for _, typ := range slices.Sorted(maps.Keys(p.DedupeByType)) {
		d.DedupeOf = append(d.DedupeOf, DedupeKey{string(typ), p.DedupeByType[typ].text})
	}
	for _, scheme := range p.Verify {
		if scheme.Kind == KindNone || scheme.Kind == KindPath {
			continue
		}
		d.Secrets = true
		d.Optional = d.Optional || scheme.Optional
		d.Proof = append(d.Proof, proofWords(scheme))
		for _, name := range varsOf(scheme) {
			if !slices.Contains(d.Vars, name) {
				d.Vars = append(d.Vars, name)
			}
		}
	}
	return d
}

// decoders lists the accepted formats of a body.
func (p *Profile) decoders() string {
	names := []string{string(p.Decode)}
	for _, decoder := range p.Accept {
		names = append(names, string(decoder))
	}
	return strings.Join(names, ", ")
}

// varsOf returns the placeholders of a scheme that a source fills, other than its secrets.
func varsOf(scheme signature.Scheme) (names []string) {
	for _, template := range []string{scheme.Key, scheme.User} {
		for rest := template; ; {
			_, after, found := strings.Cut(rest, "{")
			name, tail, closed := strings.Cut(after, "}")
			if !found || !closed {
				break
			}
			if rest = tail; name != "secret" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

func namedBy(path Path, own string) string { return fmt.Sprintf("`%s` is `%s`", path.text, own) }

// words describes a condition in words.
func (c *Condition) words() string {
	var all []string
	at := "`" + c.Path.text + "`"
	if c.Exists != nil {
		all = append(all, map[bool]string{true: at + " is present", false: at + " is absent"}[*c.Exists])
	}
	if c.Equals != nil {
		all = append(all, namedBy(c.Path, *c.Equals))
	}
	if len(c.In) > 0 {
		all = append(all, at+" is one of `"+strings.Join(c.In, "`, `")+"`")
	}
	if c.Regex != nil {
		all = append(all, at+" matches `"+c.Regex.String()+"`")
	}
	if c.Gt != nil {
		all = append(all, fmt.Sprintf("%s is above %v", at, *c.Gt))
	}
	return strings.Join(all, " and ")
}

// proofWords describes an entry of verify in words.
func proofWords(c signature.Scheme) string {
	place := ""
	switch {
	case c.Kind == KindBasic:
		return "HTTP Basic"
	case c.Header != "":
		place = "header `" + c.Header + "`"
	case c.Field != "":
		place = "form field `" + c.Field + "`"
	case c.Query != "":
		place = "query parameter `" + c.Query + "`"
	default:
		place = "`" + c.Path + "` of the body"
	}
	if c.Prefix != "" {
		place += ", after `" + c.Prefix + "`"
	}
	if c.Kind == KindToken {
		return "the secret itself in " + place
	}
	words := fmt.Sprintf("HMAC-%s in %s in %s", strings.ToUpper(orElse(c.Hash, "sha256")), orElse(c.Encoding, "hex"), place)
	if c.Signed != "" && c.Signed != "{body}" {
		words += ", over `" + c.Signed + "`"
	} else {
		words += ", over the body"
	}
	if c.Key != "" && c.Key != "{secret}" {
		words += ", keyed with `" + c.Key + "`"
	}
	if c.Timestamp != nil {
		words += fmt.Sprintf(", at most %s old", orElse(strings.TrimSuffix(c.Timestamp.Tolerance.String(), "0s"), "5m"))
	}
	return words
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
