package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/config/checks"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/signature"
	"github.com/surveygate/surveygate/rules/event"
)

func (l *loader) addSources(f *fileSettings) {
	for _, e := range f.Sources {
		if l.enough() {
			return
		}
		s, tenant := e.Value, l.owner(f, e.Value.Tenant)
		l.named(e.Key, "source")
		l.claim(l.sources, target{tenant, e.Name}, e.Key, "source")
		if e.Name == event.DefaultSource {
			l.fault(e.Key.Fault(fmt.Sprintf("`%s` is reserved: it is the source of events published with tokens", e.Name), "choose another name"))
		}
		if s.Node == nil {
			continue // reported already
		}
		stream := l.stream(e)
		if s.Profile == "" && (stream == nil || !stream.Bare) {
			if e.Node.Key("profile") == nil && e.Node.Key("redis_stream") == nil {
				l.fault(e.Node.FaultOfMissing("profile", fmt.Sprintf("`profile` is missing in `%s`", e.Name), "add profile: and the platform's name"))
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
		if e.Node.HasUnset() { // only `surveygate test` accepts this, and it verifies no requests
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
		if !e.Node.HasUnset() {
			for _, p := range receiver.Warnings() {
				l.warning(codeOf(p, settings), at(e, p.Setting).Fault(p.Message, p.Remedy))
			}
		}
		made := &Source{
			Item:    Item{Tenant: tenant, Name: e.Name, At: e.Key.At, Sum: l.sum(s.Node)},
			Enabled: enabled(s.Enabled), Capture: s.Capture, Receiver: receiver, Stream: stream,
		}
		l.write(&made.Item, kindSource, s.Node)
		l.config.Sources = append(l.config.Sources, made)
	}
}

// unproved reports whether the settings that verify a source's requests have faults, or a key that may have been meant as one.
func (l *loader) unproved(n *document.Node) bool {
	for _, p := range n.Pairs {
		if l.hasFault(p.Key) {
			return true
		}
		switch p.Key.Text {
		case "secrets", "path_token", "verify", "unverified":
			if l.hasFault(p.Value) || slices.ContainsFunc(p.Value.Items, l.unprovedItem) {
				return true
			}
		}
	}
	return false
}

func (l *loader) unprovedItem(n *document.Node) bool { return l.hasFault(n) || l.unproved(n) }

// at returns the node of a source's setting (`verify.0.header`), or its nearest ancestor that exists, or the source's key.
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

// profile returns a built-in profile by name, or loads one by its path, which is relative to the file that names it.
func (l *loader) profile(n *document.Node) *source.Profile {
	if n == nil || n.Kind != document.Scalar || n.Unset {
		return nil
	}
	ext := filepath.Ext(n.Text)
	if isPath := ext == ".yaml" || ext == ".yml"; isPath && l.base != nil {
		l.fault(n.Fault("a stored source cannot have the file of a profile", document.OneOf(l.library.Names())))
		return nil
	} else if !isPath {
		profile, ok := l.library.Profile(n.Text)
		if !ok {
			remedy := document.DidYouMean(n.Text, l.library.Names())
			if !strings.HasPrefix(remedy, "did") && l.base == nil {
				remedy += "; or write the path of your own profile: ./" + filepath.Base(n.Text) + ".yaml"
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
		l.fault(n.Fault(fmt.Sprintf("cannot read the profile `%s`", n.Text), "the path is relative to the folder of this file"))
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

// span refuses a window longer than most: it is meant to be temporary.
func (l *loader) span(n *document.Node, setting string, value, most time.Duration) {
	if value > most {
		l.fault(n.Key(setting).Fault(fmt.Sprintf("`%s` is longer than %dd", setting, most/day), "it starts at each load and is meant to be temporary: write minutes or hours"))
	}
}

// named checks that a key is a valid name.
func (l *loader) named(key *document.Node, what string) {
	if !validName(key.Text) {
		l.fault(key.Fault(fmt.Sprintf("`%s` is not a %s's name", key.Text, what), nameRule))
	}
}

// codeOf returns the code of a warning about a source.
func codeOf(p source.Problem, settings source.Settings) checks.Code {
	switch {
	case p.Setting == "accept_test":
		return checks.AcceptsTests
	case p.Setting == "profile":
		return checks.OtherResponses
	case len(settings.Secrets) == 0:
		return checks.Unproved
	}
	return checks.UnusedSecrets
}
