package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors/webhook"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/signature"
)

// warn says what works but may surprise.
func (l *loader) warn() {
	if c := l.config; len(c.Sources)+len(c.Destinations)+len(c.Rules)+len(c.Tokens) == 0 && len(l.faults) == 0 {
		l.warning(document.At(l.options.Path, "nothing is configured: no platform can send, and nobody is told of anything", "`surveygate demo` shows a configuration that works and writes it down"))
	}
	for _, d := range l.webhooks {
		w, ok := d.alone.(*webhook.Connector)
		if ok {
			l.warnOfSecrets(d, w)
		}
		if !ok || (w.Body.Format != "" && w.Body.Format != webhook.RawBytes) || !w.Body.Values.IsZero() {
			continue
		}
		l.warnOfUncut(d, w)
		if w.Style().Style != "pollqr" {
			continue
		}
		// PollQR's own sample verifies JSON.stringify of what it parsed, which `raw` passes byte for byte only
		// where the platform's JSON is compact.
		var loose []string
		for _, s := range l.config.Sources {
			if s.Tenant == d.Tenant && (s.Stream == nil || !s.Stream.Bare) && !compact(s.Receiver) {
				loose = append(loose, s.Name)
			}
		}
		if len(loose) > 0 {
			l.warning(d.key.Fault(
				fmt.Sprintf("receivers that verify as PollQR's sample does may refuse raw bodies of %s, whose JSON need not be compact", strings.Join(loose, ", ")),
				"write body: event where they do"))
		}
	}
}

// warnOfSecrets tells that the second of two secrets does nothing, where the style's header has room for one signature.
func (l *loader) warnOfSecrets(d *destination, w *webhook.Connector) {
	if len(w.Secrets) < 2 || signature.Several(w.Style()) {
		return
	}
	style := w.Style().Style
	if style == "" {
		style = w.Style().Header
	}
	at := d.key
	if secrets := d.subscription.Node.Key("secrets"); secrets != nil && len(secrets.Items) > 1 {
		at = secrets.Items[1]
	}
	l.warning(at.Fault(
		fmt.Sprintf("the second secret signs nothing: the signature `%s` has room for one, which is made with the first", style),
		"rotating: let the receiver accept the new secret beside the old one, then write the new one alone here"))
}

// warnOfUncut tells where answers or leads go out although the webhook says that they must not: in the bodies of platforms
// out of which they cannot be cut.
func (l *loader) warnOfUncut(d *destination, w *webhook.Connector) {
	var answers, leads []string
	for _, s := range l.config.Sources {
		if s.Tenant != d.Tenant || s.Stream != nil && s.Stream.Bare {
			continue
		}
		stay, too := s.Receiver.Profile.Uncut()
		if stay {
			answers = append(answers, s.Name)
		}
		if too {
			leads = append(leads, s.Name)
		}
	}
	tell := func(setting string, sources []string) {
		l.warning(d.key.Fault(fmt.Sprintf("`%s: false` cuts nothing out of raw bodies of %s", setting, strings.Join(sources, ", ")), "write body: event"))
	}
	if !w.SendAnswers && len(answers) > 0 {
		tell("send_answers", answers)
	}
	if !w.SendLeads && len(leads) > 0 {
		tell("send_leads", leads)
	}
}

// compact says whether a platform is known to write compact JSON: it signs JSON.stringify of its body.
func compact(s *source.Source) bool {
	for _, scheme := range s.Profile.Verify {
		if slices.Contains(scheme.Candidates, "compact") {
			return true
		}
	}
	return false
}
