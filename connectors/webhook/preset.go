package webhook

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
)

// PresetName is the name of a preset. The empty name means `standard`.
type PresetName string

// Preset describes how one platform delivers its webhooks.
type Preset struct {
	Signature connectors.Signature
	// Retry holds the waits after the first attempt, the second one, and so on.
	Retry []time.Duration
	// Timeout bounds one attempt.
	Timeout time.Duration
	// Only200 is set if 200 is the only successful status. Without it, any 2xx is.
	Only200 bool
	// Body is the format of the body; empty means RawBytes.
	Body Format
}

// overDays are the waits that Standard Webhooks gives as an example: a receiver that is away for three days loses nothing.
var overDays = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// Presets maps each name to its preset: the platform's published behaviour, with the gateway's own intervals where the platform
// publishes none. The headers that a platform sends are part of its signature style.
var Presets = map[PresetName]Preset{
	"standard": {
		Signature: connectors.Signature{Style: "standard"}, Timeout: 15 * time.Second, Retry: overDays,
	},
	"pollqr": {
		Signature: connectors.Signature{Style: "pollqr"}, Timeout: 15 * time.Second,
		Retry: []time.Duration{10 * time.Second, time.Minute, 5 * time.Minute},
	},
	"popsee": {
		Signature: connectors.Signature{Style: "popsee"}, Timeout: 5 * time.Second,
		Retry: []time.Duration{10 * time.Second, time.Minute, 5 * time.Minute},
	},
	"chattosurvey": {
		Signature: connectors.Signature{Style: "chattosurvey"}, Timeout: 30 * time.Second, Only200: true,
		Retry: []time.Duration{10 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute},
	},
	// Pollarix signs nothing: its receivers check a header of their own. It publishes neither intervals nor a timeout.
	PollarixPreset: {
		Signature: connectors.Signature{Style: "none"}, Timeout: 15 * time.Second, Retry: overDays, Body: PollarixEnvelope,
	},
}

// PresetNames returns the sorted names of all presets.
func PresetNames() []string {
	names := make([]string, 0, len(Presets))
	for _, name := range slices.Sorted(maps.Keys(Presets)) {
		names = append(names, string(name))
	}
	return names
}

// UnmarshalText accepts the name of a preset.
func (p *PresetName) UnmarshalText(b []byte) error {
	if _, ok := Presets[PresetName(b)]; !ok {
		return fmt.Errorf("`%s` is no preset; one of %s", b, strings.Join(PresetNames(), ", "))
	}
	*p = PresetName(b)
	return nil
}

// headerName matches a token: https://www.rfc-editor.org/rfc/rfc9110#name-tokens
var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// framingHeaders are headers that belong to the connection, or change where a request ends.
var framingHeaders = []string{"Transfer-Encoding", "Connection", "Trailer", "Te", "Upgrade", "Keep-Alive", "Expect"}

// isSignatureHeader reports whether a header, in its canonical form, is set by the signature style. webhook-id and
// webhook-timestamp are sent with every style; webhook-signature is reserved with every style.
func isSignatureHeader(style connectors.Signature, key string) bool {
	switch key {
	case "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature":
		return true
	case "X-Pollqr-Signature":
		return style.Style == "pollqr"
	case "X-Popsee-Signature":
		return style.Style == "popsee"
	case "X-Webhook-Event", "X-Webhook-Id", "X-Webhook-Timestamp", "User-Agent":
		return style.Style == "chattosurvey"
	case "X-Hub-Signature-256", "X-Github-Event", "X-Github-Delivery":
		return style.Style == "github"
	case "Stripe-Signature":
		return style.Style == "stripe"
	}
	return style.Style == "" && strings.EqualFold(style.Header, key)
}
