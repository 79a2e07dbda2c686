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
	"unicode"
	"unicode/utf8"

	"github.com/surveygate/surveygate/connectors/webhook"
	"github.com/surveygate/surveygate/gateway/internal/document"
)

// validName reports whether a text is a name: lower-case letters, digits, _ and -, beginning with a letter or digit.
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
	nameRule = "names are lower-case letters, digits, _ and -, and begin with a letter or digit"
	maxWaits = 50
	maxWait  = 7 * 24 * time.Hour // one wait of a retry list
)

// entityName is the name of a source, rule, destination or token.
type entityName string

func (n *entityName) UnmarshalText(b []byte) error {
	if !validName(string(b)) {
		return fmt.Errorf("`%s` is not a name; %s", b, nameRule)
	}
	*n = entityName(b)
	return nil
}

// displayText is a text for people.
type displayText string

const maxDisplayText = 200

func (d *displayText) UnmarshalText(b []byte) error {
	switch {
	case !utf8.Valid(b) || strings.ContainsFunc(string(b), unicode.IsControl):
		return errors.New("this must be one line of text")
	case utf8.RuneCount(b) > maxDisplayText:
		return fmt.Errorf("this has %d characters; at most %d are allowed", utf8.RuneCount(b), maxDisplayText)
	}
	*d = displayText(b)
	return nil
}

// tenantName is the name of one tenant.
type tenantName string

func (n *tenantName) UnmarshalText(b []byte) error {
	switch {
	case string(b) == AnyTenant:
		return errors.New("this must belong to one tenant; only rules and tokens may use `*`")
	case !validName(string(b)):
		return fmt.Errorf("`%s` is not a tenant's name; %s", b, nameRule)
	}
	*n = tenantName(b)
	return nil
}

// ruleTenant is the name of one tenant, or `*` for all.
type ruleTenant string

func (n *ruleTenant) UnmarshalText(b []byte) error {
	if string(b) != AnyTenant && !validName(string(b)) {
		return fmt.Errorf("`%s` is not a tenant's name; %s; \"*\" is all", b, nameRule)
	}
	*n = ruleTenant(b)
	return nil
}

// sourceName is the name of one source, or `*` for all.
type sourceName string

func (n *sourceName) UnmarshalText(b []byte) error {
	if string(b) != AnySource && !validName(string(b)) {
		return fmt.Errorf("`%s` is not a source's name; %s; \"*\" is all", b, nameRule)
	}
	*n = sourceName(b)
	return nil
}

// unmarshalOneOf implements UnmarshalText for a closed set of words.
func unmarshalOneOf[T ~string](into *T, b []byte, what string, words ...string) error {
	if !slices.Contains(words, string(b)) {
		return fmt.Errorf("`%s` is not %s; %s", b, what, document.DidYouMean(string(b), words))
	}
	*into = T(b)
	return nil
}

// capture selects the attempts whose requests and responses are kept.
type capture string

func (c *capture) UnmarshalText(b []byte) error {
	return unmarshalOneOf(c, b, "a value of `capture`", "failures", "all")
}

// once selects the unit that is sent at most once to a step.
type once string

func (o *once) UnmarshalText(b []byte) error {
	return unmarshalOneOf(o, b, "a value of `once`", "response")
}

// Scopes are the permissions of tokens, in the documented order.
var Scopes = []string{"read", "write", "publish", "secrets", "settings", "admin"}

// scope is a permission of a token.
type scope string

func (s *scope) UnmarshalText(b []byte) error {
	return unmarshalOneOf(s, b, "a scope", Scopes...)
}

// address is host:port.
type address string

func (a *address) UnmarshalText(b []byte) error {
	_, port, err := net.SplitHostPort(string(b))
	if err != nil {
		return fmt.Errorf("`%s` is not an address; write host:port, such as 127.0.0.1:8080, or :8080 for all addresses of this machine", b)
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
		return fmt.Errorf("`%s` is not a time zone; write a name such as Europe/Istanbul", b)
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

// PerSecond returns the rate as a number of events per second.
func (r Rate) PerSecond() float64 { return float64(r.Events) / r.Per.Seconds() }

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
			return document.Faults{n.Fault(fmt.Sprintf("`%s` is one wait, and a list is needed", n.Text), fmt.Sprintf("write %s: [%s]", name, n.Text))}
		}
		if err := r.preset.UnmarshalText([]byte(n.Text)); err != nil {
			return document.Faults{n.Fault(fmt.Sprintf("`%s` is not a retry preset", n.Text),
				document.DidYouMean(n.Text, webhook.PresetNames())+" (or a list of waits: [5s, 30s, 5m])")}
		}
		r.set = true
		return nil
	case n.Kind != document.List:
		return document.Faults{n.Fault(fmt.Sprintf("`%s` must be a preset's name or a list of waits, and is %s", name, n.Kind), "write retry: standard, or retry: [5s, 30s, 5m]")}
	}
	faults := document.Bind(n, &r.waits, document.Options{})
	r.set = true
	for i, wait := range r.waits {
		if wait > maxWait {
			faults = append(faults, n.Items[i].Fault("the wait is longer than 7d", "a delivery waits at most 14d in total, unless `retention` sets another limit"))
		}
	}
	if len(r.waits) > maxWaits {
		faults = append(faults, n.Fault(fmt.Sprintf("there are %d waits; at most %d are allowed", len(r.waits), maxWaits), "use fewer, longer waits"))
	}
	return faults
}

// later is a setting that is reserved and does not work yet.
type later struct{}

var laterRemedies = map[string]string{
	"order": "remove it: deliveries are made as soon as possible, in no particular order",
}

// BindNode refuses the setting, because it would have no effect.
func (*later) BindNode(n *document.Node, name string) document.Faults {
	return document.Faults{n.Fault(fmt.Sprintf("`%s` does not work yet", name), laterRemedies[name])}
}
