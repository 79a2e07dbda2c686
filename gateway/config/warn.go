package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors/webhook"
	"github.com/surveygate/surveygate/gateway/config/checks"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/signature"
)

// warn adds warnings about settings that are valid but may surprise.
func (l *loader) warn() {
	if c := l.config; len(c.Sources)+len(c.Destinations)+len(c.Rules)+len(c.Tokens) == 0 && len(l.faults) == 0 {
		l.warning(checks.Empty, document.At(l.options.Path, "the configuration is empty: no platform can send, and nothing is delivered", "`surveygate init` writes a first one, and `surveygate demo` shows one working"))
	}
	if fault := l.config.MissingKey(); fault != nil && !l.options.AllowUnset {
		l.warning(checks.NoKey, *fault)
	}
	if !l.options.AllowUnset {
		for _, fault := range l.config.SharedTokens() {
			l.warning(checks.SharedToken, fault)
		}
	}
	for _, d := range l.webhooks {
		l.warnOfWebhook(d)
	}
}

// warnOfWebhook warns about what receivers of a webhook may not expect.
func (l *loader) warnOfWebhook(d *destination) {
	w, ok := d.alone.(*webhook.Connector)
	if ok {
		l.warnOfSecrets(d, w)
	}
	if !ok || (w.Body.Format != "" && w.Body.Format != webhook.RawBytes) || !w.Body.Values.IsZero() {
		return
	}
	l.warnOfUncut(d, w)
	if w.Style().Style != "pollqr" {
		return
	}
	// PollQR's own sample verifies JSON.stringify of the parsed body. That equals the raw body only if the platform's JSON
	// is compact.
	var loose []string
	for _, s := range l.sourcesIn(d.Tenant) {
		if (s.Stream == nil || !s.Stream.Bare) && !compact(s.Receiver) {
			loose = append(loose, s.Name)
		}
	}
	if len(loose) > 0 {
		l.warning(checks.NotCompact, d.key.Fault(
			fmt.Sprintf("receivers that use PollQR's sample code to verify may refuse raw bodies of %s, whose JSON may not be compact", strings.Join(loose, ", ")),
			"write body: event for such receivers"))
	}
}

// warnOfSecrets warns that the second of two secrets has no effect if the style's header holds one signature.
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
	l.warning(checks.SecondSecret, at.Fault(
		fmt.Sprintf("the second secret is not used: a signature of style `%s` is made with the first secret alone", style),
		"to rotate: let the receiver accept the old and the new secret, then replace the old one here"))
}

// warnOfUncut warns if a webhook sends answers or leads although its settings forbid it: they cannot be cut out of the raw
// bodies of some platforms.
func (l *loader) warnOfUncut(d *destination, w *webhook.Connector) {
	var answers, leads []string
	for _, s := range l.sourcesIn(d.Tenant) {
		if s.Stream != nil && s.Stream.Bare {
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
	report := func(setting string, sources []string) {
		l.warning(checks.Uncut, d.key.Fault(fmt.Sprintf("`%s: false` has no effect on raw bodies of %s", setting, strings.Join(sources, ", ")), "write body: event"))
	}
	if !w.SendAnswers && len(answers) > 0 {
		report("send_answers", answers)
	}
	if !w.SendLeads && len(leads) > 0 {
		report("send_leads", leads)
	}
}

// compact reports whether a platform is known to write compact JSON: it signs JSON.stringify of its body.
func compact(s *source.Source) bool {
	for _, scheme := range s.Profile.Verify {
		if slices.Contains(scheme.Candidates, "compact") {
			return true
		}
	}
	return false
}
