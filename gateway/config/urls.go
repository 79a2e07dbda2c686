package config

import (
	"net/url"

	"github.com/surveygate/surveygate/connectors"
)

// SourceURL is where a platform sends.
type SourceURL struct {
	Tenant  string `json:"tenant"`
	Name    string `json:"name"`
	Profile string `json:"profile"`
	URL     string `json:"url,omitempty"`
	// Stream is the Redis stream that the source reads; then it has no URL.
	Stream string `json:"redis_stream,omitempty"`
}

// Where is the source's URL, or its stream in words.
func (s SourceURL) Where() string {
	if s.Stream != "" {
		return "reads the Redis stream " + s.Stream
	}
	return s.URL
}

// SourceURLs are the addresses that platforms send to, below base (http://host:port), with [secret] for path tokens unless
// they are to be shown.
func (c *Config) SourceURLs(base string, showSecrets bool) []SourceURL {
	urls := []SourceURL{}
	for _, s := range c.Sources {
		if s.Stream != nil {
			urls = append(urls, SourceURL{Tenant: s.Tenant, Name: s.Name, Profile: s.Receiver.Profile.Name, Stream: s.Stream.Name})
			continue
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
		urls = append(urls, SourceURL{Tenant: s.Tenant, Name: s.Name, Profile: s.Receiver.Profile.Name, URL: base + path})
	}
	return urls
}
