package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/signature"
	"github.com/surveygate/surveygate/rules/event"
)

func (l *loader) addSources(f *fileSettings) {
	for _, e := range f.Sources {
		s, tenant := e.Value, l.owner(f, e.Value.Tenant)
		l.named(e.Key, "source")
		l.claim(l.sources, target{tenant, e.Name}, e.Key, "source")
		if e.Name == event.DefaultSource {
			l.fault(e.Key.Fault(fmt.Sprintf("`%s` is the source of what tokens publish, and no platform's", e.Name), "give this one another name"))
		}
		if s.Node == nil {
			continue // said already
		}
		stream := l.stream(e)
		if s.Profile == "" && (stream == nil || !stream.Bare) {
			if e.Node.Key("profile") == nil && e.Node.Key("redis_stream") == nil {
				l.fault(e.Node.Fault(fmt.Sprintf("`profile` is missing in `%s`", e.Name), "add profile: and the platform's name"))
			}
			continue
		}
		profile := source.Own()
		if stream == nil || !stream.Bare {
			profile = l.profile(e.Node.Key("profile"))
		}
		l.span(e.Node, "accept_test", s.AcceptTest, day)
		l.span(e.Node, "capture", s.Capture, 7*day)
		if profile == nil || l.unproved(e.Node) {
			continue
		}
		settings := source.Settings{
			Tenant: tenant, Name: e.Name, Profile: profile,
			Secrets: s.Secrets, Vars: s.Vars, PathToken: s.PathToken, Verify: s.Verify, AllowFrom: s.AllowFrom,
			AcceptTest: s.AcceptTest, Loaded: l.options.Now, Roles: s.Roles, Surveys: s.Surveys,
			Timezone: s.Timezone.Location, Unverified: s.Unverified,
		}
		if e.Node.HasUnset() { // only `surveygate test` gets further than this, and it proves no request
			settings.Secrets, settings.Vars, settings.Verify, settings.Unverified = nil, nil, nil, true
			if s.PathToken.IsZero() || e.Node.Key("path_token").Unset {
				settings.PathToken = signature.NewSecret()
			}
		}
		if stream != nil {
			stream.prove(&settings)
		}
		receiver, problems := source.New(settings)
		for _, p := range problems {
			l.fault(at(e, p.Setting).Fault(p.Message, p.Remedy))
		}
		if receiver == nil {
			continue
		}
		for _, p := range receiver.Warnings() {
			l.warning(at(e, p.Setting).Fault(p.Message, p.Remedy))
		}
		l.config.Sources = append(l.config.Sources, &Source{
			Item:    Item{Tenant: tenant, Name: e.Name, At: e.Key.At, Sum: sumOf(s.Node)},
			Enabled: enabled(s.Enabled), Capture: s.Capture, Receiver: receiver, Stream: stream,
		})
	}
}

// unproved says that a fault was said of what proves a source, or of a key that may have been meant for it.
func (l *loader) unproved(n *document.Node) bool {
	for _, p := range n.Pairs {
		if l.told(p.Key) {
			return true
		}
		switch p.Key.Text {
		case "secrets", "path_token", "verify", "unverified":
			if l.told(p.Value) || slices.ContainsFunc(p.Value.Items, l.unprovedItem) {
				return true
			}
		}
	}
	return false
}

func (l *loader) unprovedItem(n *document.Node) bool { return l.told(n) || l.unproved(n) }

// at is where a setting of a source stands (`verify.0.header`), or the nearest that stands there: else its key.
func at(e document.Entry[sourceSettings], setting string) *document.Node {
	n := e.Node
	for step := range strings.SplitSeq(setting, ".") {
		next := n.Key(step)
		if i, err := strconv.Atoi(step); err == nil && n.Kind == document.List && i < len(n.Items) {
			next = n.Items[i]
		}
		if next == nil {
			break
		}
		n = next
	}
	if n == e.Node {
		return e.Key
	}
	return n
}

// profile is a built-in profile by its name, or a file's by its path, relative to the file that names it.
func (l *loader) profile(n *document.Node) *source.Profile {
	if n == nil || n.Kind != document.Scalar || n.Unset {
		return nil
	}
	if ext := filepath.Ext(n.Text); ext != ".yaml" && ext != ".yml" {
		profile, ok := l.library.Profile(n.Text)
		if !ok {
			remedy := document.DidYouMean(n.Text, l.library.Names())
			if !strings.HasPrefix(remedy, "did") {
				remedy += "; or the path of your own, ./" + filepath.Base(n.Text) + ".yaml"
			}
			l.fault(n.Fault(fmt.Sprintf("`%s` is not a profile", n.Text), remedy))
		}
		return profile
	}
	path := n.Text
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(n.At.File), path)
	}
	if known, read := l.profiles[path]; read {
		return known
	}
	l.profiles[path] = nil
	text, err := l.read(path)
	if err != nil {
		l.fault(n.Fault(fmt.Sprintf("the profile's file `%s` cannot be read", n.Text), "a path counts from the folder of this file"))
		return nil
	}
	profile, faults := source.Parse(path, text)
	if len(faults) > 0 {
		l.fault(faults...)
		return nil
	}
	l.profiles[path] = profile
	l.profileTexts = append(l.profileTexts, input{key: filepath.Clean(n.Text), text: text})
	return profile
}

// span refuses a window that is open longer than makes sense: it is meant to close again.
func (l *loader) span(n *document.Node, setting string, value, most time.Duration) {
	if value > most {
		l.fault(n.Key(setting).Fault(fmt.Sprintf("`%s` is longer than %dd", setting, most/day), "it counts from each load, and is meant to end: write minutes or hours"))
	}
}

// named checks the name of what is defined by a key.
func (l *loader) named(key *document.Node, what string) {
	if !validName(key.Text) {
		l.fault(key.Fault(fmt.Sprintf("`%s` is not a %s's name", key.Text, what), ofNames))
	}
}
