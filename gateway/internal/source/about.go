package source

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/signature"
)

// About is what a profile tells people: it makes the page of platforms, and changes no event.
type About struct {
	// Title is the platform's name as it writes it itself.
	Title string `yaml:"title,omitempty"`
	// Docs are pages that say how the platform sends, its own where it has any.
	Docs []string `yaml:"docs,omitempty"`
	// Setup is what to do at the platform, step by step.
	Setup []string `yaml:"setup,omitempty"`
	// Script is what sends at a platform that sends nothing by itself, to be pasted there; Language is what it is written in.
	Script   string `yaml:"script,omitempty"`
	Language string `yaml:"language,omitempty"`
	// Traps are what surprises people.
	Traps []string `yaml:"traps,omitempty"`
	// Unmapped are places of the body that fill no field, each with the reason. A place stands for all below it, and
	// # for every element of a list. Conditions and mappings reach them all the same: raw("path").
	Unmapped map[string]string `yaml:"unmapped,omitempty"`
}

// check finds what would make a bad page.
func (a *About) check(node *document.Node) document.Faults {
	var faults document.Faults
	for i, address := range a.Docs {
		if !strings.HasPrefix(address, "https://") || strings.ContainsAny(address, " \t\n") {
			faults = append(faults, item(node.Key("docs"), i).Fault(fmt.Sprintf("`%s` is no address of a page", address), "write https://…"))
		}
	}
	for _, list := range [...]struct {
		name  string
		texts []string
	}{{"setup", a.Setup}, {"traps", a.Traps}} {
		for i, text := range list.texts {
			if strings.TrimSpace(text) == "" || strings.Contains(text, "\n") {
				faults = append(faults, item(node.Key(list.name), i).Fault("an entry is one line of text", "write a sentence"))
			}
		}
	}
	if (a.Script == "") != (a.Language == "") {
		faults = append(faults, node.Fault("a script and the language it is written in belong together", "write both script and language"))
	}
	for _, pair := range pairs(node.Key("unmapped")) {
		if strings.TrimSpace(pair.Value.Text) == "" {
			faults = append(faults, pair.Key.Fault(fmt.Sprintf("nothing says why `%s` is not mapped", pair.Key.Text), "write the reason"))
		}
	}
	return faults
}

// reason is why a place of the body is not mapped; "" where the profile does not say.
func (a *About) reason(place string) string {
	for name, why := range a.Unmapped {
		if place == name || strings.HasPrefix(place, name+".") {
			return why
		}
	}
	return ""
}

// Platform is a profile as people are told of it.
type Platform struct {
	Name  string
	About About
	// Decode is json, form or multipart, or several of them.
	Decode string
	// Events are the platform's own names and what they mean, in order of the names.
	Events []EventName
	// Proof says, in words, how its requests are proved; empty where nothing in them proves anything.
	Proof []string
	// Optional says that the platform signs only where it was given a secret.
	Optional bool
	// Hints are fields that the proof leaves out and that may yet say the type.
	Hints []string
	// Secrets and Vars are what a source must set so that requests are proved.
	Secrets bool
	Vars    []string
	// Fills are the fields of an event that the profile fills, by path.
	Fills []string
	// Dedupe is the key that two deliveries of one event share, DedupeOf those of single types, in order of the types.
	Dedupe   string
	DedupeOf []DedupeKey
}

// DedupeKey is the key of events of one canonical type.
type DedupeKey struct{ Type, Key string }

// EventName is what a platform calls an event, or the condition that makes it one.
type EventName struct{ Own, Canonical string }

// Platform describes a profile.
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

// decoders are the forms in which a body may come, in words.
func (p *Profile) decoders() string {
	names := []string{string(p.Decode)}
	for _, decoder := range p.Accept {
		names = append(names, string(decoder))
	}
	return strings.Join(names, ", ")
}

// varsOf are the placeholders of a proof that a source fills beside its secrets.
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

// words says a condition as people read it.
func (c *Condition) words() string {
	var all []string
	at := "`" + c.Path.text + "`"
	if c.Exists != nil {
		all = append(all, map[bool]string{true: at + " is there", false: at + " is not there"}[*c.Exists])
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

// proofWords says an entry of verify as people read it.
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
