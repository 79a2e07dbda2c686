package signature

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/surveygate/surveygate/connectors"
)

// customStyles caches compiled custom styles; a gateway has a handful.
var customStyles sync.Map // of connectors.Signature to *style

// customStyle compiles a custom style. Without `value` the header is the signature alone; without `signed` the body is
// signed.
func customStyle(sig connectors.Signature) (*style, error) {
	if s, ok := customStyles.Load(sig); ok {
		return s.(*style), nil
	}
	s := &style{name: styleCustom, headerName: sig.Header}
	if err := checkHeaderName(sig.Header); err != nil {
		return nil, err
	}
	var err error
	if s.algorithm, err = parseAlgorithm(sig.Hash); err != nil {
		return nil, fmt.Errorf("signature hash: %w", err)
	}
	if s.encoding, err = parseEncoding(sig.Encoding); err != nil {
		return nil, fmt.Errorf("signature encoding: %w", err)
	}
	if s.value, err = parseTemplate(orElse(sig.Value, "{signature}"), "signature", "timestamp", "id"); err != nil {
		return nil, fmt.Errorf("signature value: %w", err)
	}
	if strings.Count(orElse(sig.Value, "{signature}"), "{signature}") != 1 {
		return nil, errors.New("signature value: {signature} must be there once")
	}
	for _, part := range s.value {
		if strings.ContainsFunc(part.text, notInHeader) {
			return nil, errors.New("signature value: a header holds printable ASCII only")
		}
	}
	if s.signed, err = parseTemplate(orElse(sig.Signed, "{body}"), "id", "timestamp", "body"); err != nil {
		return nil, fmt.Errorf("signature signed: %w", err)
	}
	if !s.signed.has("body") {
		return nil, errors.New("signature signed: {body} is missing, so that nothing would be proved")
	}
	for _, j := range s.signed.joints("unix") {
		if s.signed[j.at].name == "id" && !strings.ContainsFunc(j.separator, notInOurIDs) {
			return nil, fmt.Errorf("signature signed: `%s` beside {id} may be part of an id, so that receivers could not tell where it ends; put a `.` there", j.separator)
		}
	}
	customStyles.Store(sig, s)
	return s, nil
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// notInOurIDs reports whether a character never occurs in the gateway's ids, such as dl_ev_0a1b_2c3d.
func notInOurIDs(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' }

func notInHeader(r rune) bool { return (r < ' ' && r != '\t') || r > '~' }

// checkHeaderName refuses invalid header names, and the headers that HTTP or every style sets itself.
func checkHeaderName(name string) error {
	if name == "" {
		return errors.New("signature header: the name of a header is missing")
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return fmt.Errorf("signature header: `%s` is no name of a header", name)
		}
	}
	switch strings.ToLower(name) {
	case "host", "content-length", "content-type", "transfer-encoding", "connection", "user-agent", headerID, headerTimestamp:
		return fmt.Errorf("signature header: `%s` is taken", name)
	}
	return nil
}
