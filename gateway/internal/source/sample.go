package source

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/signature"
	"github.com/surveygate/surveygate/rules/event"
)

//go:embed samples/*.json
var sampleFiles embed.FS

// Sample is what a platform would send.
type Sample struct {
	Platform    string
	ContentType string
	Body        []byte
}

// Variation makes samples that differ.
type Variation struct {
	// Seed is what the ids of the response are made from: two samples of one seed are the same event sent twice.
	Seed string
	// At is when it happened.
	At time.Time
	// Score replaces the answer of 9 out of 10 that the published bodies hold.
	Score *float64
}

// sample says what in a platform's published body is of one response, and so must vary.
type sample struct {
	ids    []string         // each becomes an id of its own
	times  map[string]moved // each becomes Variation.At, moved
	scores []string         // JSON that ends in the score
}

type moved struct {
	by     time.Duration
	layout string // "" is Unix seconds
}

const (
	layoutMillis = "2006-01-02T15:04:05.000Z"
	layoutMicros = "2006-01-02T15:04:05.000000Z"
	layoutZ      = "2006-01-02T15:04:05Z"
)

// samples are the bodies that the platforms publish, as compact as they send them. ChatToSurvey publishes only how a
// conversation starts; its sample is a finished one in the same shape.
var samples = map[string]sample{
	"pollqr": {
		ids:    []string{"6ba7b810-9dad-11d1-80b4-00c04fd430c8"},
		times:  map[string]moved{"2024-01-01T12:00:00.000Z": {0, layoutMillis}},
		scores: []string{`"1":9`, `"nps_score":9`},
	},
	"popsee": {
		ids:    []string{"7c9e6679-7425-40de-944b-e07fc1f90ae7"},
		times:  map[string]moved{"2024-01-22T12:00:00.000Z": {0, layoutMillis}},
		scores: []string{`"questionId":"q1","value":9`},
	},
	"pollarix": {
		ids:    []string{"resp_456"},
		times:  map[string]moved{"2024-01-15T10:30:00Z": {0, layoutZ}},
		scores: []string{`"questionType":"rating","answer":9`},
	},
	"poltio": {
		ids: []string{"22ffdf18-1035-4e56-baa2-8327e3af5242"},
		times: map[string]moved{
			"2024-01-23T11:59:33.000000Z": {-26 * time.Second, layoutMicros},
			"2024-01-23T11:59:43.000000Z": {-16 * time.Second, layoutMicros},
			"2024-01-23T11:59:59.000000Z": {0, layoutMicros},
			"1568624875":                  {0, ""},
		},
	},
	"chattosurvey": {
		ids: []string{"0b8e2f1e-6d3f-4f0e-9a53-1f0c4b7f2a01", "3f0a4a8e-4444-4e2b-9c39-0a6a0a3d2b11", "3f0a4a8e-5555-4e2b-9c39-0a6a0a3d2b11"},
		times: map[string]moved{
			"2024-03-06T12:00:00Z": {0, layoutZ},
			"2024-03-06T12:04:10Z": {0, layoutZ},
		},
		scores: []string{`"value":9`},
	},
}

// Samples are the platforms that NewSample knows, in order.
func Samples() []string { return slices.Sorted(maps.Keys(samples)) }

// NewSample is a platform's published body with ids and times of its own, so that it is a new event. It draws on
// nothing but its arguments.
func NewSample(platform string, v Variation) (Sample, error) {
	kind, ok := samples[platform]
	if !ok {
		return Sample{}, fmt.Errorf("there is no sample of `%s`; one of: %s", platform, strings.Join(Samples(), ", "))
	}
	text, err := sampleFiles.ReadFile("samples/" + platform + ".json")
	if err != nil {
		return Sample{}, fmt.Errorf("sample of %s: %w", platform, err)
	}
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		return Sample{}, fmt.Errorf("sample of %s: %w", platform, err)
	}
	replace := make([]string, 0, 2*(len(kind.ids)+len(kind.times)+len(kind.scores)))
	for i, id := range kind.ids {
		replace = append(replace, id, seededID(id, platform, v.Seed, i))
	}
	for _, was := range slices.Sorted(maps.Keys(kind.times)) {
		at := v.At.UTC().Add(kind.times[was].by)
		now := strconv.FormatInt(at.Unix(), 10)
		if layout := kind.times[was].layout; layout != "" {
			now = at.Format(layout)
		}
		replace = append(replace, was, now)
	}
	if v.Score != nil {
		score, err := event.Marshal(*v.Score)
		if err != nil {
			return Sample{}, fmt.Errorf("sample of %s: %w", platform, err)
		}
		for _, was := range kind.scores {
			replace = append(replace, was, strings.TrimSuffix(was, "9")+string(score))
		}
	}
	body := strings.NewReplacer(replace...).Replace(b.String())
	return Sample{Platform: platform, ContentType: "application/json", Body: []byte(body)}, nil
}

// seededID is an id in the form of the one it replaces: a UUID, or a word and a number.
func seededID(was, platform, seed string, i int) string {
	sum := sha256.Sum256([]byte(platform + "\x00" + seed + "\x00" + strconv.Itoa(i)))
	if word, _, ok := strings.Cut(was, "_"); ok {
		return word + "_" + strconv.FormatUint(uint64(sum[0])<<40|uint64(sum[1])<<32|uint64(sum[2])<<24|uint64(sum[3])<<16|uint64(sum[4])<<8|uint64(sum[5]), 10)
	}
	sum[6], sum[8] = sum[6]&0x0f|0x40, sum[8]&0x3f|0x80 // a UUID of version 4, by its form
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// Sign is what the platform would put on a body to prove it to this source, with the first of its secrets. The
// path token is not among it.
func (s *Source) Sign(body []byte, at time.Time) ([]connectors.Field, error) {
	var fields []connectors.Field
	for _, check := range s.checks {
		more, err := s.signOne(check.scheme, body, at)
		if err != nil {
			return nil, fmt.Errorf("sign as %s: %w", s.Profile.Name, err)
		}
		fields = append(fields, more...)
	}
	return fields, nil
}

func (s *Source) signOne(scheme signature.Scheme, body []byte, at time.Time) ([]connectors.Field, error) {
	secret := s.Secrets[0]
	switch {
	case scheme.Kind == KindToken && scheme.Header != "":
		return []connectors.Field{{Name: scheme.Header, Value: scheme.Prefix + secret.Expose(), Secret: true}}, nil
	case scheme.Kind == KindBasic:
		text := secret.Expose()
		if scheme.User != "" {
			if strings.Contains(scheme.User, "{") {
				return nil, errors.New("the user is made of vars, which is not signed here")
			}
			text = scheme.User + ":" + text
		}
		return []connectors.Field{{Name: "Authorization", Value: "Basic " + base64.StdEncoding.EncodeToString([]byte(text)), Secret: true}}, nil
	case scheme.Kind != KindHMAC || scheme.Header == "":
		return nil, errors.New("the proof stands in the body or the query")
	}
	style := connectors.Signature{Style: "standard"}
	message := signature.Message{ID: "msg_" + hash(body)[:32], At: at, Body: body}
	standard := scheme.SecretPrefix != ""
	if !standard {
		if scheme.Key != "" || scheme.SecretEncoding != "" || scheme.Timestamp != nil || (scheme.Signed != "" && scheme.Signed != "{body}") {
			return nil, errors.New("the signature covers more than the body")
		}
		style = connectors.Signature{Header: scheme.Header, Value: scheme.Prefix + "{signature}", Hash: scheme.Hash, Encoding: scheme.Encoding}
	}
	fields, err := signature.Sign(style, []connectors.Secret{secret}, message)
	if err != nil {
		return nil, err
	}
	if !standard {
		fields = slices.DeleteFunc(fields, func(f connectors.Field) bool { return f.Name != scheme.Header })
	}
	return fields, nil
}
