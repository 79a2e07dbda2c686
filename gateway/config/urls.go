package config

import (
	"net/url"

	"github.com/surveygate/surveygate/connectors"
)

// SourceURL is the address that a platform sends to.
type SourceURL struct {
	Tenant  string `json:"tenant"`
	Name    string `json:"name"`
	Profile string `json:"profile"`
	URL     string `json:"url,omitempty"`
	// Stream is the Redis stream that the source reads; then it has no URL.
	Stream string `json:"redis_stream,omitempty"`
}

// Where returns the source's URL, or a description of its stream.
func (s SourceURL) Where() string {
	if s.Stream != "" {
		return "reads the Redis stream " + s.Stream
	}
	return s.URL
}

// SourceURLs returns the addresses that platforms send to, below base (http://host:port). Path tokens are replaced by
// [secret] unless showSecrets is set.
func (c *Config) SourceURLs(base string, showSecrets bool) []SourceURL {
	urls := []SourceURL{}
	for _, s := range c.Sources {
		if s.Stream != nil {
			urls = append(urls, SourceURL{Tenant: s.Tenant, Name: s.Name, Profile: s.Receiver.Profile.Name, Stream: s.Stream.Name})
			continue
		}
		urls = append(urls, SourceURL{Tenant: s.Tenant, Name: s.Name, Profile: s.Receiver.Profile.Name, URL: s.URL(base, showSecrets)})
	}
	return urls
}

// URL returns the address below base that the platform sends to; empty for a source that reads a stream. Its path token is replaced by
// [secret] unless showSecrets is set.
func (s *Source) URL(base string, showSecrets bool) string {
	if s.Stream != nil {
		return ""
	}
	path := "/in/" + s.Name
	if s.Tenant != DefaultTenant {
		path = "/t/" + s.Tenant + path
	}
	if token := s.Receiver.PathToken; !token.IsZero() {
		shown := connectors.Hidden
		if showSecrets {
			shown = url.PathEscape(token.Expose())
		}
		path += "/" + shown
	}
	return base + path
}
