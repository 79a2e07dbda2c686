package route

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

// MaxLimit bounds the length of a page.
const MaxLimit = 200

// Asked returns a parameter, copied: fasthttp reuses its buffer for the next request.
func (c *Call) Asked(name string) string { return asked(c.Ctx, name) }

func asked(c *fiber.Ctx, name string) string {
	return string(c.Request().URI().QueryArgs().Peek(name))
}

// Segment returns a part of the path, copied.
func (c *Call) Segment(name string) string { return strings.Clone(c.Params(name)) }

// known refuses unknown parameters, those that are given twice, and values that their declaration does not have: a mistyped filter would
// otherwise select everything, or nothing.
func known(c *fiber.Ctx, r *Route) error {
	names := r.Query
	var seen []string
	for key, value := range c.Request().URI().QueryArgs().All() {
		name := string(key)
		if slices.Contains(seen, name) { // the first one would count, also where it is empty
			return answer.Invalid("this parameter is given twice; give it once", name)
		}
		seen = append(seen, name)
		if name == "tenant" && r.TenantIn == "" {
			continue
		}
		if slices.Contains(names, name) {
			if p := r.parameter(name); p != nil {
				if err := p.check(string(value)); err != nil {
					return err
				}
			}
			continue
		}
		if instead := r.Former[name]; instead != "" {
			return answer.Invalid("this path takes it no longer: "+instead, name)
		}
		if r.TenantIn == "" {
			names = append(slices.Clone(names), "tenant")
		}
		return answer.Invalid("this is not a parameter of this path, which takes "+list(names), name)
	}
	return nil
}

// list returns names as a part of a sentence.
func list(names []string) string {
	switch n := len(names); n {
	case 0:
		return "no parameters"
	case 1:
		return names[0]
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

// Limit returns the length that was asked for a page; 0 without one.
func (c *Call) Limit() (int, error) {
	return readLimit(c.Asked("limit"))
}

func readLimit(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > MaxLimit {
		return 0, answer.Invalid("a page has 1 to "+strconv.Itoa(MaxLimit)+" entries", "limit")
	}
	return n, nil
}

// Flag reads true, false or nothing.
func (c *Call) Flag(name string) (bool, error) { return ReadFlag(c.Asked(name), name) }

// ReadFlag reads true or false; an empty text is false. The error is a 422 at the parameter with the name.
func ReadFlag(text, name string) (bool, error) {
	switch text {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, answer.Invalid("this is true or false", name)
	}
}

// Span reads `since` and `until`: RFC 3339, or how long ago, as 90s, 15m, 24h, 7d.
func (c *Call) Span(now time.Time) (since, until time.Time, err error) {
	if since, err = c.moment("since", now); err != nil {
		return since, until, err
	}
	until, err = c.moment("until", now)
	return since, until, err
}

func (c *Call) moment(name string, now time.Time) (time.Time, error) {
	return ReadMoment(c.Asked(name), now, name)
}

// ReadMoment reads a time as `since` and `until` have it; an empty text is the zero time. loc leads to it in the request.
func ReadMoment(text string, now time.Time, loc ...string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.UTC(), nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= 36500 {
			return now.Add(-time.Duration(n) * 24 * time.Hour), nil
		}
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	return time.Time{}, answer.Invalid("this is a time as 2026-01-02T03:04:05Z, or how long ago, as 15m or 7d", loc...)
}

// PageOf answers with a page of a list that is in memory, sorted by name.
func PageOf[T any](c *Call, all []T, name func(T) string) error {
	return PageOfViews(c, all, name, func(some []T) ([]T, error) { return some, nil })
}

// PageOfViews is PageOf for lists whose views are made for the page only.
func PageOfViews[T, V any](c *Call, all []T, name func(T) string, show func([]T) ([]V, error)) error {
	limit, err := c.Limit()
	if err != nil {
		return err
	}
	p, err := PageOfSorted(all, c.Asked("cursor"), cmp.Or(limit, pageLength), name, show)
	if err != nil {
		return err
	}
	if p.Data == nil {
		p.Data = []V{}
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, p)
}
