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

// requestSettings apply to sources that take requests; profileSettings apply to sources with a profile.
var (
	requestSettings = []string{"path_token", "allow_from", "accept_test", "unverified", "capture"}
	profileSettings = []string{"secrets", "vars", "verify", "roles", "surveys", "timezone"}
)

// stream returns the stream that a source reads; nil if it takes requests or its settings have faults.
func (l *loader) stream(e document.Entry[sourceSettings]) *Stream {
	at, url := e.Node.Key("redis_stream"), e.Node.Key("redis")
	if at == nil {
		if key := e.Node.Named("redis"); key != nil {
			l.fault(key.Fault("`redis` is the address of a source's stream, but this source reads no stream", "add redis_stream:, or remove redis:"))
		}
		return nil
	}
	s := &Stream{Name: e.Value.RedisStream, URL: e.Value.Redis, Bare: e.Node.Key("profile") == nil, at: at}
	if s.Name == "" && !l.hasFault(at) && !at.Unset {
		l.fault(at.Fault("`redis_stream` is empty", "name the stream that your program writes to"))
	}
	for _, name := range requestSettings {
		if key := e.Node.Named(name); key != nil {
			l.fault(key.Fault("`"+name+"` applies to requests, but a source with `redis_stream` takes none", "remove it: whoever can write to the stream is trusted"))
		}
	}
	for _, name := range profileSettings {
		if key := e.Node.Named(name); key != nil && s.Bare {
			l.fault(key.Fault("`"+name+"` needs a profile, and this source has none", "add profile: and the platform's name, or remove it"))
		}
	}
	if url != nil && !url.Unset && !l.hasFault(url) && !l.options.texts { // it may name files
		if err := redis.Check(s.URL.Expose(), l.read); err != nil {
			l.fault(url.Fault(err.Error(), "write redis://host:6379/0, or rediss:// with TLS"))
		}
	}
	return s
}

// prove chooses the schemes that verify entries. Whoever can write to the stream is trusted, because its Redis has admitted
// them. Headers of a platform that an entry carries are verified too, if the source has the secrets.
func (s *Stream) prove(settings *source.Settings) {
	schemes := settings.Verify
	if schemes == nil {
		schemes = settings.Profile.Verify
	}
	// An entry has no path and no query.
	settings.Verify = slices.DeleteFunc(slices.Clone(schemes), func(c signature.Scheme) bool {
		return c.Kind == source.KindPath || c.Kind == source.KindNone || c.Query != "" || len(settings.Secrets) == 0
	})
	if settings.Verify == nil {
		settings.Verify = []signature.Scheme{} // nil would select the profile's
	}
	s.Headers = len(settings.Verify) > 0
	settings.Unverified = !s.Headers
}

// streams checks the addresses of streams. It runs after flags and the environment have been applied.
func (l *loader) streams() {
	engine := l.config.Redis
	for _, s := range l.config.Sources {
		if s.Stream == nil {
			continue
		}
		at := s.Stream.at
		s.Stream.at = nil // which would keep the whole file in memory
		if engine.URL.IsZero() && s.Stream.URL.IsZero() && !l.options.AllowUnset {
			l.fault(at.Fault("`redis_stream` needs a Redis, but this gateway uses the embedded store",
				"add redis: redis://host:6379/0 to the source, or run the gateway on Redis (--redis)"))
		}
		if engine.URL.IsZero() || !strings.HasPrefix(s.Stream.Name, cmp.Or(engine.Prefix, DefaultPrefix)+":{") {
			continue
		}
		const remedy = "name the stream that your program writes to"
		if s.Stream.URL.IsZero() || s.Stream.URL == engine.URL {
			l.fault(at.Fault("this is the gateway's own stream: it would take in its own events for ever", remedy))
			continue
		}
		// A Redis may have several addresses, and loading a configuration asks no server.
		l.fault(at.Fault("this may be the gateway's own stream under another address: it would then take in its own events for ever",
			remedy+"; if the stream belongs to another gateway, give this one its own prefix (redis: {url: …, prefix: …})"))
	}
}
