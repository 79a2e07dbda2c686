package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config/checks"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
)

// expiresSoon is how long before a certificate expires Load warns about it.
const expiresSoon = 14 * day

// authorities applies `outbound.ca`.
func (l *loader) authorities(n *document.Node) {
	if n == nil || n.Unset || l.hasFault(n) || l.options.texts {
		return
	}
	text, ok := l.pem(n, "ca")
	if !ok {
		return
	}
	if _, err := outbound.Authorities(text, l.options.Now); err != nil {
		l.tlsFault(n, err)
		return
	}
	l.config.Outbound.CA = string(text)
}

// tls applies a destination's own TLS settings.
func (l *loader) tls(d *destination, n *document.Node, connector connectors.Connector) {
	if n == nil || n.HasUnset() || l.hasFault(n) {
		return
	}
	if !l.isOwn(d, connector) {
		l.fault(n.Fault(fmt.Sprintf("`tls` applies to your own receivers, but `%s` sends to %s", d.Name, d.Product), "name your receiver in `base_url`, or remove `tls`"))
		return
	}
	if l.options.texts {
		return // they are files
	}
	var texts [3][]byte
	before := len(l.faults)
	for i, setting := range []string{"ca", "cert", "key"} {
		if at := n.Key(setting); at != nil && !l.hasFault(at) {
			texts[i], _ = l.pem(at, setting)
		}
	}
	if len(l.faults) > before || len(texts[0])+len(texts[1])+len(texts[2]) == 0 {
		return
	}
	own, err := outbound.NewClientTLS(texts[0], texts[1], texts[2], l.options.Now)
	if err != nil {
		l.tlsFault(n, err)
		return
	}
	d.TLS = own
	if until := own.Expires(); !until.IsZero() && until.Sub(l.options.Now) < expiresSoon {
		l.warning(checks.CertificateExpires, n.Key("cert").Fault(fmt.Sprintf("the certificate of `%s` expires on %s", d.Name, until.Format(time.DateOnly)), "replace it before then: an expired certificate prevents start and reload"))
	}
	// A client certificate is a credential like a token: a pause for refused credentials ends when it changes.
	d.Credentials = append(d.Credentials, connectors.NewSecret(own.Fingerprint()))
}

// isOwn reports whether the operator has set the destination's address.
func (l *loader) isOwn(d *destination, connector connectors.Connector) bool {
	if d.settings.HasUnset() {
		return true // unknown
	}
	v := reflect.ValueOf(connector).Elem()
	for _, field := range document.Fields(v.Type()) {
		if at := d.settings.Key(field.Name); at != nil && (field.Type == baseType || field.Type == urlType) {
			return true
		}
	}
	return false
}

// pem returns a setting's PEM text, or that of the file it names.
func (l *loader) pem(n *document.Node, setting string) (text []byte, ok bool) {
	if strings.Contains(n.Text, "-----BEGIN") || n.Text == "" {
		return []byte(n.Text), true
	}
	if l.base != nil { // the text is not quoted: it may be a key in another format
		l.fault(n.Fault(fmt.Sprintf("`%s` is not PEM", setting), "write PEM, which begins with -----BEGIN: a stored document reads no files"))
		return nil, false
	}
	path := n.Text
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(n.At.File), path)
	}
	text, err := l.read(path)
	if err != nil { // the text is not quoted: it may be a key in another format
		l.fault(n.Fault(fmt.Sprintf("`%s` is neither PEM nor the path of a readable file", setting), "write PEM, which begins with -----BEGIN, or the path of a file, relative to the folder of this one"))
		return nil, false
	}
	return text, true
}

// tlsFault adds a TLS fault at the setting that caused it, or at n if that setting is absent.
func (l *loader) tlsFault(n *document.Node, err error) {
	wrong, ok := errors.AsType[*outbound.TLSError](err)
	if !ok {
		l.fault(n.Refusal("tls", err))
		return
	}
	if at := n.Key(wrong.Setting); at != nil {
		n = at
	}
	l.fault(n.Fault(wrong.Message, wrong.Remedy))
}
