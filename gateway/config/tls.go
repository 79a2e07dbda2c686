package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
)

// expiresSoon is how long before its end a certificate is warned of.
const expiresSoon = 14 * day

// authorities takes `outbound.ca`.
func (l *loader) authorities(n *document.Node) {
	if n == nil || n.Unset || l.told(n) {
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

// tls takes a destination's own TLS.
func (l *loader) tls(d *destination, n *document.Node, connector connectors.Connector) {
	if n == nil || n.HasUnset() || l.told(n) {
		return
	}
	if !l.isOwn(d, connector) {
		l.fault(n.Fault(fmt.Sprintf("`tls` is for receivers of your own, and `%s` goes to %s", d.Name, d.Product), "name yours in `base_url`, or take `tls` out"))
		return
	}
	var texts [3][]byte
	before := len(l.faults)
	for i, setting := range []string{"ca", "cert", "key"} {
		if at := n.Key(setting); at != nil && !l.told(at) {
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
		l.warning(n.Key("cert").Fault(fmt.Sprintf("the certificate of `%s` expires on %s", d.Name, until.Format(time.DateOnly)), "replace it before: afterwards a start or a reload refuses it"))
	}
	// A receiver refuses a certificate as it does a token: what it refused is tried again with another one.
	d.Credentials = append(d.Credentials, connectors.NewSecret(own.Fingerprint()))
}

// isOwn reports whether a destination's address is the operator's.
func (l *loader) isOwn(d *destination, connector connectors.Connector) bool {
	if d.settings.HasUnset() {
		return true // nobody knows
	}
	v := reflect.ValueOf(connector).Elem()
	for _, field := range document.Fields(v.Type()) {
		if at := d.settings.Key(field.Name); at != nil && (field.Type == baseType || field.Type == urlType) {
			return true
		}
	}
	return false
}

// pem returns a setting's text: itself where it is PEM, else that of the file which it names.
func (l *loader) pem(n *document.Node, setting string) (text []byte, ok bool) {
	if strings.Contains(n.Text, "-----BEGIN") || n.Text == "" {
		return []byte(n.Text), true
	}
	path := n.Text
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(n.At.File), path)
	}
	text, err := l.read(path)
	if err != nil { // the path is not repeated: it may be a key that was written in another form
		l.fault(n.Fault(fmt.Sprintf("`%s` is not PEM, and there is no file of that name that can be read", setting), "write PEM, which begins with -----BEGIN, or the path of its file, from the folder of this one"))
		return nil, false
	}
	return text, true
}

// tlsFault tells what is wrong at the setting that it is about, or at the whole where that is missing.
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
