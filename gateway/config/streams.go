package config

import (
	"cmp"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/redis"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/signature"
)

// Settings of a source that speak of requests, and those that speak of a platform's own bodies.
var (
	ofRequests = []string{"path_token", "allow_from", "accept_test", "unverified", "capture"}
	ofProfiles = []string{"secrets", "vars", "verify", "roles", "surveys", "timezone"}
)

// stream is what a source reads instead of taking requests; nil where it takes requests, or its stream is at fault.
func (l *loader) stream(e document.Entry[sourceSettings]) *Stream {
	at, url := e.Node.Key("redis_stream"), e.Node.Key("redis")
	if at == nil {
		if key := e.Node.Named("redis"); key != nil {
			l.fault(key.Fault("`redis` says where a source's stream is, and this source has none", "name it with redis_stream:, or take it out"))
		}
		return nil
	}
	s := &Stream{Name: e.Value.RedisStream, URL: e.Value.Redis, Bare: e.Node.Key("profile") == nil, at: at}
	if s.Name == "" && !l.told(at) && !at.Unset {
		l.fault(at.Fault("`redis_stream` is empty", "name the stream that your program adds to"))
	}
	for _, name := range ofRequests {
		if key := e.Node.Named(name); key != nil {
			l.fault(key.Fault("`"+name+"` is about requests, and a source with `redis_stream` takes none", "take it out: a stream is as safe as its Redis"))
		}
	}
	for _, name := range ofProfiles {
		if key := e.Node.Named(name); key != nil && s.Bare {
			l.fault(key.Fault("`"+name+"` is about a platform's bodies, and this source has no profile", "add profile: and the platform's name, or take it out"))
		}
	}
	if url != nil && !url.Unset && !l.told(url) {
		if err := redis.Check(s.URL.Expose(), l.read); err != nil {
			l.fault(url.Fault(err.Error(), "write redis://host:6379/0, or rediss:// with TLS"))
		}
	}
	return s
}

// prove settles what proves entries. Whoever can add to the stream is trusted, as its Redis let them; only where
// somebody kept a platform's headers, and the source has the secrets for them, are they checked as well.
func (s *Stream) prove(settings *source.Settings) {
	schemes := settings.Verify
	if schemes == nil {
		schemes = settings.Profile.Verify
	}
	// An entry has neither a path nor a query.
	settings.Verify = slices.DeleteFunc(slices.Clone(schemes), func(c signature.Scheme) bool {
		return c.Kind == source.KindPath || c.Kind == source.KindNone || c.Query != "" || len(settings.Secrets) == 0
	})
	if settings.Verify == nil {
		settings.Verify = []signature.Scheme{} // nil would be the profile's
	}
	s.Headers = len(settings.Verify) > 0
	settings.Unverified = !s.Headers
}

// streams looks at where streams are, once flags and the environment are known.
func (l *loader) streams() {
	engine := l.config.Redis
	for _, s := range l.config.Sources {
		if s.Stream == nil {
			continue
		}
		at := s.Stream.at
		s.Stream.at = nil // which would hold the whole file in memory
		if engine.URL.IsZero() && s.Stream.URL.IsZero() && !l.options.AllowUnset {
			l.fault(at.Fault("`redis_stream` needs a Redis, and everything is kept in a folder here",
				"add redis: redis://host:6379/0 beside it, or keep everything in Redis (--redis)"))
		}
		if engine.URL.IsZero() || !strings.HasPrefix(s.Stream.Name, cmp.Or(engine.Prefix, DefaultPrefix)+":{") {
			continue
		}
		const remedy = "name the stream that your program adds to"
		if s.Stream.URL.IsZero() || s.Stream.URL == engine.URL {
			l.fault(at.Fault("this is the gateway's own stream, whose events would come again for ever", remedy))
			continue
		}
		// One Redis has many addresses, and nothing is asked here.
		l.fault(at.Fault("this may be the gateway's own stream under another address: then its events would come again for ever",
			remedy+"; where it is another gateway's, give this one a prefix of its own (redis: {url: …, prefix: …})"))
	}
}
