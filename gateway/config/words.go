package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors/webhook"
	"github.com/surveygate/surveygate/gateway/internal/document"
)

// validName says whether a text is a name: lower-case letters, digits, _ and -, beginning with a letter or digit.
func validName(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case i > 0 && (c == '_' || c == '-'):
		default:
			return false
		}
	}
	return text != "" && len(text) <= maxName
}

const (
	maxName  = 64
	ofNames  = "names are lower-case letters, digits, _ and -, and begin with a letter or digit"
	maxWaits = 50
	longest  = 7 * 24 * time.Hour // one wait of a retry list
)

// entityName is the name of something.
type entityName string

func (n *entityName) UnmarshalText(b []byte) error {
	if !validName(string(b)) {
		return fmt.Errorf("`%s` is not a name; %s", b, ofNames)
	}
	*n = entityName(b)
	return nil
}

// tenantName is the name of one tenant.
type tenantName string

func (n *tenantName) UnmarshalText(b []byte) error {
	switch {
	case string(b) == AnyTenant:
		return errors.New("this belongs to one tenant; only rules and tokens may say `*`")
	case !validName(string(b)):
		return fmt.Errorf("`%s` is not a tenant's name; %s", b, ofNames)
	}
	*n = tenantName(b)
	return nil
}

// ruleTenant is the name of one tenant, or `*` for all.
type ruleTenant string

func (n *ruleTenant) UnmarshalText(b []byte) error {
	if string(b) != AnyTenant && !validName(string(b)) {
		return fmt.Errorf("`%s` is not a tenant's name; %s; \"*\" is all", b, ofNames)
	}
	*n = ruleTenant(b)
	return nil
}

// sourceName is the name of one source, or `*` for all.
type sourceName string

func (n *sourceName) UnmarshalText(b []byte) error {
	if string(b) != AnySource && !validName(string(b)) {
		return fmt.Errorf("`%s` is not a source's name; %s; \"*\" is all", b, ofNames)
	}
	*n = sourceName(b)
	return nil
}

// word is UnmarshalText of a closed set of words.
func word[T ~string](into *T, b []byte, what string, words ...string) error {
	if !slices.Contains(words, string(b)) {
		return fmt.Errorf("`%s` is not %s; %s", b, what, document.DidYouMean(string(b), words))
	}
	*into = T(b)
	return nil
}

// capture is what is kept of requests and answers.
type capture string

func (c *capture) UnmarshalText(b []byte) error {
	return word(c, b, "known to `capture`", "failures", "all")
}

// once is what a step is told of at most once.
type once string

func (o *once) UnmarshalText(b []byte) error { return word(o, b, "known to `once`", "response") }

// scope is what a token may do.
type scope string

func (s *scope) UnmarshalText(b []byte) error {
	return word(s, b, "a scope", "read", "write", "publish", "secrets")
}

// address is host:port.
type address string

func (a *address) UnmarshalText(b []byte) error {
	_, port, err := net.SplitHostPort(string(b))
	if err != nil {
		return fmt.Errorf("`%s` is not an address; write host:port, as 127.0.0.1:8080, or :8080 for every address of this machine", b)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil { // 0 lets the system choose one
		return fmt.Errorf("`%s` is not a port; write a number up to 65535", port)
	}
	*a = address(b)
	return nil
}

// zone is a time zone.
type zone struct{ *time.Location }

func (z *zone) UnmarshalText(b []byte) error {
	location, err := time.LoadLocation(string(b))
	if err != nil || string(b) == "Local" || len(b) == 0 {
		return fmt.Errorf("`%s` is not a time zone; write it as Europe/Istanbul", b)
	}
	z.Location = location
	return nil
}

// UnmarshalText reads 10/s, 600/m or 1000/h.
func (r *Rate) UnmarshalText(b []byte) error {
	fault := fmt.Errorf("`%s` is not a rate; write it as 10/s, 600/m or 1000/h", b)
	count, unit, ok := strings.Cut(string(b), "/")
	n, err := strconv.Atoi(strings.TrimSpace(count))
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[strings.TrimSpace(unit)]
	if !ok || err != nil || n < 1 || per == 0 {
		return fault
	}
	*r = Rate{n, per}
	return nil
}

// size is a number of bytes.
type size int64

var units = map[string]float64{
	"": 1, "B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40,
	"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
}

// UnmarshalText reads 512MiB, 10GiB, 1.5GB or a number of bytes.
func (s *size) UnmarshalText(b []byte) error {
	text := string(b)
	at := strings.LastIndexAny(text, "0123456789.") + 1
	unit, known := units[strings.ToUpper(strings.TrimSpace(text[at:]))]
	n, err := strconv.ParseFloat(strings.TrimSpace(text[:at]), 64)
	if !known || err != nil || !(n >= 0) || n*unit > math.MaxInt64/2 {
		return fmt.Errorf("`%s` is not a size; write it as 512MiB or 10GiB", b)
	}
	*s = size(n * unit)
	return nil
}

// retrySettings is a preset's name or a list of waits.
type retrySettings struct {
	preset webhook.PresetName
	waits  []time.Duration
	set    bool
}

// BindNode reads either form.
func (r *retrySettings) BindNode(n *document.Node, name string) document.Faults {
	switch {
	case n.Unset:
		return nil
	case n.Kind == document.Scalar:
		if _, err := document.ParseDuration(n.Text); err == nil {
			return document.Faults{n.Fault(fmt.Sprintf("`%s` is one wait, wanted is a list of them", n.Text), fmt.Sprintf("write %s: [%s]", name, n.Text))}
		}
		if err := r.preset.UnmarshalText([]byte(n.Text)); err != nil {
			return document.Faults{n.Fault(fmt.Sprintf("`%s` is not a retry preset", n.Text),
				document.DidYouMean(n.Text, webhook.PresetNames())+" (or a list of waits: [5s, 30s, 5m])")}
		}
		r.set = true
		return nil
	case n.Kind != document.List:
		return document.Faults{n.Fault(fmt.Sprintf("`%s` is %s, wanted is a preset's name or a list of waits", name, n.Kind), "write retry: standard, or retry: [5s, 30s, 5m]")}
	}
	faults := document.Bind(n, &r.waits, document.Options{})
	r.set = true
	for i, wait := range r.waits {
		if wait > longest {
			faults = append(faults, n.Items[i].Fault("the wait is longer than 7d", "a delivery waits 14d in all, unless `retention` says otherwise"))
		}
	}
	if len(r.waits) > maxWaits {
		faults = append(faults, n.Fault(fmt.Sprintf("there are %d waits, at most %d", len(r.waits), maxWaits), "make the last ones longer"))
	}
	return faults
}

// later is a setting that has its place and does not work yet.
type later struct{}

var laterRemedies = map[string]string{
	"order": "take it out: deliveries are made as soon as they can be, in no order",
}

// BindNode refuses the setting, so that nobody believes it works.
func (*later) BindNode(n *document.Node, name string) document.Faults {
	return document.Faults{n.Fault(fmt.Sprintf("`%s` does not work yet", name), laterRemedies[name])}
}
