package source

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/rules/event"
)

//go:embed samples
var sampleFiles embed.FS

// Sample is a sample request of a platform.
type Sample struct {
	Platform    string
	ContentType string
	Body        []byte
}

// Variation makes samples differ from each other.
type Variation struct {
	// Seed is what the ids of the response are made from: two samples of one seed are the same event sent twice.
	Seed string
	// At is when it happened.
	At time.Time
	// Score replaces the answer of 9 out of 10 that most of the published bodies hold; the others have no score.
	Score *float64
}

// Samples returns the platforms that have a sample, sorted.
func Samples() []string { return slices.Sorted(maps.Keys(samples)) }

// NewSample returns a platform's published body with new ids and times, so that it is a new event. The result depends only on the
// arguments.
func NewSample(platform string, v Variation) (Sample, error) {
	kind, ok := samples[platform]
	if !ok {
		return Sample{}, fmt.Errorf("there is no sample of `%s`; one of: %s", platform, strings.Join(Samples(), ", "))
	}
	text, err := sampleBody(platform)
	if err != nil {
		return Sample{}, fmt.Errorf("sample of %s: %w", platform, err)
	}
	replace := make([]string, 0, 2*(len(kind.ids)+len(kind.times)+len(kind.scores)))
	for i, id := range kind.ids {
		replace = append(replace, id, seededID(id, platform, v.Seed, i))
	}
	for _, was := range slices.Sorted(maps.Keys(kind.times)) {
		replace = append(replace, was, kind.times[was].write(v.At))
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
	s := Sample{Platform: platform, Body: []byte(strings.NewReplacer(replace...).Replace(string(text)))}
	s.ContentType = contentTypes[DecodeJSON]
	if path.Ext(kind.file) == ".txt" {
		s.ContentType = contentTypes[DecodeForm]
		if boundary := boundaryIn(s.Body); boundary != "" {
			s.ContentType = contentTypes[DecodeMultipart] + "; boundary=" + boundary
		}
	}
	return s, nil
}

// sampleBody returns a platform's published body; JSON is compacted.
func sampleBody(platform string) ([]byte, error) {
	file := samples[platform].file
	if file != "" {
		return sampleFiles.ReadFile("samples/" + file)
	}
	text, err := sampleFiles.ReadFile("samples/" + platform + ".json")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = json.Compact(&b, text)
	return b.Bytes(), err
}

func (m moved) write(at time.Time) string {
	at = at.UTC().Add(m.by)
	if m.layout == "" {
		return strconv.FormatInt(at.Unix(), 10)
	}
	text := at.Format(m.layout)
	if m.form {
		return url.QueryEscape(text)
	}
	return text
}

// seededID returns an id in the format of the one it replaces: a word and a number, digits, hexadecimal, or a UUID.
func seededID(was, platform, seed string, i int) string {
	sum := sha256.Sum256([]byte(platform + "\x00" + seed + "\x00" + strconv.Itoa(i)))
	digits := strconv.FormatUint(1e18+(uint64(sum[0])<<40|uint64(sum[1])<<32|uint64(sum[2])<<24|uint64(sum[3])<<16|uint64(sum[4])<<8|uint64(sum[5]))*1000+uint64(sum[6]), 10)
	word, _, named := strings.Cut(was, "_")
	switch {
	case named:
		return word + "_" + digits[3:]
	case strings.Trim(was, "0123456789") == "":
		return "1" + digits[4:] // 16 of them, so that it is exact as a number too
	case strings.Contains(was, "-"):
		sum[6], sum[8] = sum[6]&0x0f|0x40, sum[8]&0x3f|0x80 // a UUID of version 4, by its form
		return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
	}
	return hex.EncodeToString(sum[:])[:min(len(was), 64)]
}
