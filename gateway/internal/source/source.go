// Package source converts requests of survey platforms to events: it verifies a request and normalises its body, as the
// platform's profile describes.
//
// A Profile describes one platform as data, written in YAML and compiled at load. A Source is an instance of it with a tenant,
// secrets and roles. The package does no I/O and keeps no state.
package source

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"sort"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/signature"
	"github.com/surveygate/surveygate/rules/event"
)

// Errors of Verify and Normalise. Any other content of a body becomes an event.
var (
	// ErrRefused reports that a request is not verified. Its text does not name the check that failed; the answer must not either.
	ErrRefused = errors.New("request not verified")
	// ErrNotJSON reports that a body is not in the format that the profile decodes: JSON, or a form.
	ErrNotJSON = event.ErrNotJSON
	// ErrTooManyEvents, ErrTooManyAnswers and ErrTooDeep report that a request exceeds its limits.
	ErrTooManyEvents  = fmt.Errorf("more than %d events in one request", MaxEvents)
	ErrTooManyAnswers = event.ErrTooManyAnswers
	ErrTooDeep        = event.ErrTooDeep
)

// MaxEvents is the maximum number of events in one request. Each is a separate entry in the store.
const MaxEvents = 1000

// The kinds of verification, as written in profiles and sources.
const (
	KindHMAC  = signature.KindHMAC
	KindToken = signature.KindToken
	KindBasic = signature.KindBasic
	KindPath  = signature.KindPath
	KindNone  = signature.KindNone
)

// Request is a request over HTTP or an entry of a stream.
type Request struct {
	Method string
	// Token is the secret segment of the path; empty if the path has none.
	Token string
	// Header and Query return a value by name; empty if absent. Header ignores case. nil means that there are no values.
	Header func(name string) string
	Query  func(name string) string
	// HeaderTwice and QueryTwice report whether a name occurs more than once; Header and Query return its first value. nil
	// means that no name does.
	HeaderTwice func(name string) bool
	QueryTwice  func(name string) bool
	// Body is kept by the resulting events, so it must not be modified afterwards.
	Body        []byte
	ContentType string
	Remote      netip.Addr
	// Received is the time of receipt, against which timestamps of signatures and accept_test are checked.
	Received time.Time
	// Verified is set by Verify. A caller that has authenticated the request by other means, such as the API's bearer token,
	// sets it instead of calling Verify.
	Verified Verified
}

func (r *Request) header(name string) string {
	if r.Header == nil {
		return ""
	}
	return r.Header(name)
}

func (r *Request) query(name string) string {
	if r.Query == nil {
		return ""
	}
	return r.Query(name)
}

func (r *Request) headerTwice(name string) bool { return r.HeaderTwice != nil && r.HeaderTwice(name) }

func (r *Request) queryTwice(name string) bool { return r.QueryTwice != nil && r.QueryTwice(name) }

// Verified describes how a request was verified.
type Verified struct {
	// Kind is hmac, token, basic, path or none.
	Kind string
	// Secret is the number of the source's secret that matched, counted from 1; 0 if none was needed.
	Secret int
	// Test reports that accept_test accepted an unverified request: its events are tests.
	Test bool
}

// Survey is a source's settings for one survey.
type Survey struct {
	// Name is the survey's title if the platform sends none.
	Name string `yaml:"name,omitempty"`
	// Roles take precedence over those of the source.
	Roles map[string]Field `yaml:"roles,omitempty"`
}

// Settings are the settings of a source, as opposed to its profile.
type Settings struct {
	Tenant  string
	Name    string
	Profile *Profile
	// Secrets are those the platform signs with. Any of them may match, so that they can be rotated without interruption.
	Secrets []connectors.Secret
	// Vars fill other placeholders of the profile, such as {api_key}.
	Vars map[string]connectors.Secret
	// PathToken is the secret segment of the source's URL.
	PathToken connectors.Secret
	// Verify replaces the profile's schemes; nil keeps them.
	Verify []signature.Scheme
	// AllowFrom are the networks that may send; empty allows all.
	AllowFrom []netip.Prefix
	// AcceptTest is how long after Loaded requests without a proof are accepted as tests.
	AcceptTest time.Duration
	Loaded     time.Time
	// Roles map answers to fields, by question id or label.
	Roles map[string]Field
	// Surveys are keyed by survey id.
	Surveys map[string]Survey
	// Timezone applies to times without a zone; nil is UTC.
	Timezone *time.Location
	// Unverified accepts requests from anybody.
	Unverified bool
}

// Problem is a fault of one setting of a source.
type Problem struct {
	// Setting is its name in YAML, such as secrets or verify.0.header.
	Setting string
	Message string
	Remedy  string
}

func (p Problem) Error() string { return p.Setting + ": " + p.Message }

// MinPathToken is the minimum length of a path token, in characters: 128 bits.
const MinPathToken = 22

// Source is an instance of a profile. It is immutable after New and safe for concurrent use.
type Source struct {
	Settings

	checks []proof
	cover  cover // of checks
	zone   *time.Location
	roles  map[string]map[string]Field // merged, by survey id
}

// New combines a profile with settings, or returns all problems.
func New(settings Settings) (*Source, []Problem) {
	s := &Source{Settings: settings, zone: settings.Timezone, roles: map[string]map[string]Field{}}
	if s.Profile == nil {
		return nil, []Problem{{"profile", "a source needs a profile", ""}}
	}
	if s.zone == nil {
		s.zone = time.UTC
	}
	for id, survey := range s.Surveys {
		merged := make(map[string]Field, len(s.Roles)+len(survey.Roles))
		maps.Copy(merged, s.Roles)
		maps.Copy(merged, survey.Roles)
		s.roles[id] = merged
	}
	problems := s.compileChecks()
	if n := s.PathToken.Len(); n > 0 && n < MinPathToken {
		problems = append(problems, Problem{"path_token", fmt.Sprintf("the path token has %d characters and needs at least %d", n, MinPathToken), "`surveygate secret` prints one"})
	}
	sort.SliceStable(problems, func(i, j int) bool { return problems[i].Setting < problems[j].Setting })
	if len(problems) > 0 {
		return nil, problems
	}
	return s, nil
}

// Inherit keeps the time window of accept_test if a reload did not change it. Call it before the source is used.
func (s *Source) Inherit(before *Source) {
	if before != nil && before.AcceptTest == s.AcceptTest && before.Tenant == s.Tenant && before.Name == s.Name {
		s.Loaded = before.Loaded
	}
}

// Reply is the answer to a request.
type Reply struct {
	Status int
	Body   string
}

// Handshake answers non-POST probes (HEAD, GET) and methods of the profile's handshakes, without verification or an event. It
// returns false for all other requests. HEAD and GET are answered 200, whatever the token.
func (s *Source) Handshake(req *Request) (Reply, bool) {
	for _, h := range s.Profile.Handshake {
		if h.Method != "" && h.Method == req.Method {
			return Reply{h.Reply, h.ReplyBody.answer(req)}, true
		}
	}
	if req.Method == "HEAD" || req.Method == "GET" {
		return Reply{Status: 200}, true
	}
	return Reply{}, false
}

// Reply returns the status that the platform accepts as success.
func (s *Source) Reply() int { return s.Profile.Reply }
