package offline

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/source"
)

// Samples are the platforms that Sample knows.
func Samples() []string { return source.Samples() }

// Sample is a body as the platform publishes it, with ids of its own each time, so that it is a new event.
func Sample(platform string) ([]byte, error) {
	s, err := source.NewSample(platform, source.Variation{Seed: seed(), At: clock.System().Now()})
	return s.Body, err
}

// SignedSample is what a platform would send to a source.
type SignedSample struct {
	Platform string
	Body     []byte
	Headers  map[string]string
}

// NewSignedSample is a sample of a score as the platform of a source would send it there: with its signature or token,
// where it has one.
func NewSignedSample(o Options, name string, score float64) (*SignedSample, error) {
	c, err := o.load(false)
	if err != nil {
		return nil, err
	}
	now := clock.System().Now()
	for _, s := range c.Sources {
		if s.Name != name {
			continue
		}
		platform := s.Receiver.Profile.Name
		sample, err := source.NewSample(platform, source.Variation{Seed: seed(), At: now, Score: &score})
		if err != nil {
			return nil, err
		}
		sample, fields, err := s.Receiver.Prove(sample, now)
		if err != nil {
			return nil, err
		}
		signed := &SignedSample{Platform: platform, Body: sample.Body, Headers: map[string]string{"Content-Type": sample.ContentType}}
		for _, f := range fields {
			signed.Headers[f.Name] = f.Value
		}
		return signed, nil
	}
	return nil, fmt.Errorf("there is no source `%s`", name)
}

func seed() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	return hex.EncodeToString(b[:])
}
