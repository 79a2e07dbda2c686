package config

import (
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/redis"
)

// DefaultPrefix is the default prefix of every key in Redis.
const DefaultPrefix = "surveygate"

// BindNode reads a URL, or a mapping.
func (r *redisSettings) BindNode(n *document.Node, name string) document.Faults {
	if n.Kind == document.Mapping {
		type mapping redisSettings // without this method
		return document.Bind(n, (*mapping)(r), document.Options{})
	}
	if n.Kind != document.Scalar || n.Text == "" {
		return document.Faults{n.Fault("`"+name+"` is not the address of a Redis", `write redis: "${REDIS_URL}", or redis: {url: "${REDIS_URL}", prefix: surveygate}`)}
	}
	return document.Bind(n, &r.URL, document.Options{})
}

// redis applies the address of Redis from a file.
func (l *loader) redis(f *fileSettings) {
	node := f.Node.Key("redis")
	if node != nil && node.Kind == document.Mapping {
		node = node.Key("url")
	}
	if node == nil || l.hasFault(node) {
		return
	}
	l.config.Redis = Redis{URL: f.Redis.URL, Prefix: string(f.Redis.Prefix)}
	if !node.Unset && !l.options.texts { // it may name files
		if message, remedy := l.addressFault(f.Redis.URL); message != "" {
			l.fault(node.Fault(message, remedy))
		}
	}
}

// overrideRedis replaces the URL of the files by the flag, or else by the environment. It keeps the prefix of the files.
func (l *loader) overrideRedis(env func(name string) string) {
	for _, o := range []struct{ name, url string }{
		{"--redis", l.options.Redis}, {"SURVEYGATE_REDIS", env("SURVEYGATE_REDIS")},
	} {
		if o.url == "" {
			continue
		}
		l.config.Redis.URL = connectors.NewSecret(o.url)
		if message, remedy := l.addressFault(l.config.Redis.URL); message != "" {
			l.fault(document.At(o.name, message, remedy))
		}
		break
	}
	if l.config.Redis.Prefix == "" && !l.config.Redis.URL.IsZero() {
		l.config.Redis.Prefix = DefaultPrefix
	}
}

// addressFault returns a URL's fault; empty if it is valid. It does not quote the URL, which may contain a password.
func (l *loader) addressFault(url connectors.Secret) (message, remedy string) {
	err := redis.Check(url.Expose(), l.read)
	if err == nil {
		return "", ""
	}
	message, remedy, _ = strings.Cut(err.Error(), ": ")
	if remedy == "" {
		remedy = "write it as redis://user:password@host:6379/0"
	}
	return message, remedy
}
