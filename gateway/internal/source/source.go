// Package source turns what a survey platform sends into events: it proves a request and normalises its body, by
// the platform's profile, as data.
//
// A Profile is one platform, written in YAML and compiled at load. A Source is an instance of it with a tenant,
// secrets and roles. Nothing here reads files, calls out or keeps anything.
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

// What Verify and Normalise refuse. Everything else that a body may hold becomes an event.
var (
	// ErrRefused says that a request is not proved. It does not say which check failed, and neither may the answer.
	ErrRefused = errors.New("request not verified")
	// ErrNotJSON says that a body is not what the profile decodes: JSON, or a form.
	ErrNotJSON = event.ErrNotJSON
	// ErrTooManyEvents, ErrTooManyAnswers and ErrTooDeep are the bounds of one request.
	ErrTooManyEvents  = fmt.Errorf("more than %d events in one request", MaxEvents)
	ErrTooManyAnswers = event.ErrTooManyAnswers
	ErrTooDeep        = event.ErrTooDeep
)

// MaxEvents is how many events one request may hold. Each is an entry of its own in the store.
const MaxEvents = 1000

// The kinds of verification, as profiles and sources spell them.
const (
	KindHMAC  = signature.KindHMAC
	KindToken = signature.KindToken
	KindBasic = signature.KindBasic
	KindPath  = signature.KindPath
	KindNone  = signature.KindNone
)

// Request is what came in over HTTP or a stream.
type Request struct {
	Method string
	// Token is the secret segment of the path, empty where there was none.
	Token string
	// Header and Query look values up, the empty text where there is none. Header ignores case. nil is none at all.
	Header func(name string) string
	Query  func(name string) string
	// HeaderTwice and QueryTwice say whether a name stands there more than once, of which Header and Query give the first
	// value. nil is never.
	HeaderTwice func(name string) bool
	QueryTwice  func(name string) bool
	// Body is kept by the events made of it, so it must not be changed afterwards.
	Body        []byte
	ContentType string
	Remote      netip.Addr
	// Received is when it came in; signatures with a timestamp and accept_test are judged by it.
	Received time.Time
	// Verified is set by Verify. Who knows by other means that a request is genuine (our API's bearer token)
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

// Verified says how a request was proved.
type Verified struct {
	// Kind is hmac, token, basic, path or none.
	Kind string
	// Secret is which of the source's secrets matched, counted from 1; 0 where none was needed.
	Secret int
	// Test says that nothing was proved and accept_test took the request: its events are tests.
	Test bool
}

// Survey is what a source knows of one survey.
type Survey struct {
	// Name is used as the survey's title where the platform sends none.
	Name string `yaml:"name,omitempty"`
	// Roles stand before those of the source.
	Roles map[string]Field `yaml:"roles,omitempty"`
}

// Settings are what belongs to one source and not to its profile.
type Settings struct {
	Tenant  string
	Name    string
	Profile *Profile
	// Secrets are those the platform signs with; any may match, so that they can be changed without a gap.
	Secrets []connectors.Secret
	// Vars fill other placeholders of the profile, as {api_key}.
	Vars map[string]connectors.Secret
	// PathToken is the secret segment of the source's address.
	PathToken connectors.Secret
	// Verify replaces the profile's; nil leaves them.
	Verify []signature.Scheme
	// AllowFrom are the addresses that may send; none is all.
	AllowFrom []netip.Prefix
	// AcceptTest is how long from Loaded requests without any proof are taken as tests.
	AcceptTest time.Duration
	Loaded     time.Time
	// Roles turn answers into fields: question id or label to field.
	Roles map[string]Field
	// Surveys are keyed by survey id.
	Surveys map[string]Survey
	// Timezone is that of times without a zone; nil is UTC.
	Timezone *time.Location
	// Unverified says that the operator knows that anybody can send here.
	Unverified bool
}

// Problem is what is wrong with one setting of a source.
type Problem struct {
	// Setting is its name in YAML, as secrets or verify.0.header.
	Setting string
	Message string
	Remedy  string
}

func (p Problem) Error() string { return p.Setting + ": " + p.Message }

// MinPathToken is the shortest path token, in characters: 128 bits.
const MinPathToken = 22

// Source is an instance of a profile. It is safe for concurrent use and is not changed after New.
type Source struct {
	Settings

	checks []proof
	cover  cover // of checks
	zone   *time.Location
	roles  map[string]map[string]Field // merged, by survey id
}

// New puts a profile and settings together, or says everything that is wrong with them.
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
		problems = append(problems, Problem{"path_token", fmt.Sprintf("the path token has %d characters and needs %d", n, MinPathToken), "`surveygate secret` prints one"})
	}
	sort.SliceStable(problems, func(i, j int) bool { return problems[i].Setting < problems[j].Setting })
	if len(problems) > 0 {
		return nil, problems
	}
	return s, nil
}

// Inherit keeps the window of accept_test where a reload did not change it. Call it before the source is in use.
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

// Handshake answers a request by its method, before anything is verified and with nothing published; false where
// the request is to be taken in. HEAD and GET always answer 200, whatever the token.
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

// Reply is the status that the platform takes for success.
func (s *Source) Reply() int { return s.Profile.Reply }
