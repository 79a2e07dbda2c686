package offline

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/source"
)

// Samples returns the platforms that have a sample.
func Samples() []string { return source.Samples() }

// Sample returns a platform's published body with new ids, so that each sample is a new event.
func Sample(platform string) ([]byte, error) {
	s, err := source.NewSample(platform, source.Variation{Seed: newSeed(), At: clock.System().Now()})
	return s.Body, err
}

// SignedSample is a request as a platform would send it to a source.
type SignedSample struct {
	Platform string
	Body     []byte
	Headers  map[string]string
}

// NewSignedSample returns a sample with a score, as the platform of a source would send it there, including its signature or token.
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
		sample, err := source.NewSample(platform, source.Variation{Seed: newSeed(), At: now, Score: &score})
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

func newSeed() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	return hex.EncodeToString(b[:])
}
