package manage

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

// readJSON reads a body of one JSON object, without unknown fields.
func readJSON(body []byte, into any) error {
	if !json.Valid(body) {
		return answer.NewProblem(fiber.StatusBadRequest, view.Validation, "the body is not JSON")
	}
	if trimmed := bytes.TrimSpace(body); trimmed[0] != '{' {
		return answer.Invalid("the body is a JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, more := d.Token(); errors.Is(more, io.EOF) {
			return nil
		}
		return answer.Invalid("something follows the object")
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return answer.Invalid("this is a "+wrong.Value+", which does not belong here", strings.Split(wrong.Field, ".")...)
	}
	if name, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
		name = strings.Trim(name, `"`)
		return answer.Invalid("there is no field of this name here", name)
	}
	return answer.Invalid("the body cannot be read")
}

// duration reads a length of time, as 90d, 8h or 5m.
func duration(text string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		return time.Duration(n) * 24 * time.Hour, err == nil && n > 0 && n <= 36500
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d > 0
}
