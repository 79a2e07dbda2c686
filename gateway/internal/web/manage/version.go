package manage

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// precondition reads If-Match and If-None-Match into a change. A version identifies the settings of a document, so that a tag that a
// proxy made weak counts as the tag that was sent.
func (m *Management) precondition(c *route.Call, change *settings.Change) error {
	if none := strings.TrimSpace(c.Get(fiber.HeaderIfNoneMatch)); none != "" {
		if none != "*" {
			return answer.Invalid("only `*` can be asked for here: that there is none of this name yet", fiber.HeaderIfNoneMatch)
		}
		change.If = new(uint64)
		return nil
	}
	match := strings.TrimSpace(c.Get(fiber.HeaderIfMatch))
	switch match {
	case "":
		return nil
	case "*":
		change.MustExist = true
		return nil
	}
	versions, err := parseTags(match)
	if err != nil {
		return err
	}
	change.If = &versions[0]
	if len(versions) > 1 { // one of them may be the present one
		e, err := m.Book.Get(c.Base, c.Tenant, change.Name)
		if err != nil && !errors.Is(err, settings.ErrNoDocument) {
			return Refusal(err)
		}
		if err == nil && slices.Contains(versions, e.Version) {
			change.If = &e.Version
		}
	}
	return nil
}

// maxTags bounds the versions in one If-Match.
const maxTags = 16

// parseTags reads a list of entity tags. A tag that no version has becomes a version that no document has.
func parseTags(list string) ([]uint64, error) {
	parts := strings.Split(list, ",")
	if len(parts) > maxTags {
		return nil, answer.Invalid("at most "+strconv.Itoa(maxTags)+" versions can be named", fiber.HeaderIfMatch)
	}
	versions := make([]uint64, len(parts))
	for i, part := range parts {
		tag := strings.TrimPrefix(strings.TrimSpace(part), "W/")
		inner, opened := strings.CutPrefix(tag, `"`)
		inner, closed := strings.CutSuffix(inner, `"`)
		if !opened || !closed {
			return nil, answer.Invalid("this is the ETag of an answer, such as \"17\", with its quotes", fiber.HeaderIfMatch)
		}
		version, err := strconv.ParseUint(inner, 10, 64)
		if err != nil || version == 0 {
			version = ^uint64(0)
		}
		versions[i] = version
	}
	return versions, nil
}
