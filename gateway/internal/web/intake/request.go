package intake

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

const (
	maxHeaders = 64
	maxValue   = 1024
)

// requestOf returns a request without its body and its answer.
func requestOf(c *fiber.Ctx, e *entry, r *reader, mask mask, now time.Time) view.Request {
	kept := view.Request{
		At: now.UTC(), RequestID: answer.RequestID(c.Context()), Method: strings.Clone(c.Method()), Path: "/in/" + e.name,
	}
	if e.tenant != access.DefaultTenant {
		kept.Path = "/t/" + e.tenant + kept.Path
	}
	if r.request.Token != "" {
		kept.Path += "/" + hidden
	}
	if args := c.Request().URI().QueryArgs(); args.Len() > 0 {
		kept.Path += "?" + strings.ToValidUTF8(string(mask.query(args.QueryString())), "\uFFFD")
	}
	if r.request.Remote.IsValid() {
		kept.Remote = r.request.Remote.String()
	}
	for name, value := range c.Request().Header.All() {
		if len(kept.Headers) == maxHeaders {
			break
		}
		kept.Headers = append(kept.Headers, [2]string{string(name), mask.header(string(name), value)})
	}
	body := c.Request().Body()
	if kept.Size = max(len(body), c.Request().Header.ContentLength()); len(body) > 0 {
		sum := sha256.Sum256(body)
		kept.SHA256 = hex.EncodeToString(sum[:])
	}
	return kept
}

// part is a body, or its beginning.
type part struct {
	bytes []byte
	cut   bool
}

func head(body []byte, most int) part {
	if len(body) <= most {
		return part{bytes: body}
	}
	return part{body[:most], true}
}

// keep stores a body without its secrets in the request, as text if it is UTF-8.
func keep(r *view.Request, body part) {
	b := body.bytes
	if r.Truncated = body.cut; r.Truncated {
		for range utf8.UTFMax - 1 { // the cut may have split a character
			if last, size := utf8.DecodeLastRune(b); last != utf8.RuneError || size != 1 {
				break
			}
			b = b[:len(b)-1]
		}
	}
	if utf8.Valid(b) {
		r.Body = string(b)
	} else {
		r.Body, r.Encoding = base64.StdEncoding.EncodeToString(b), "base64"
	}
}

// keptOf reads the requests of a list.
func keptOf[T any](ctx context.Context, store state.Settings, tenant, list string) ([]T, error) {
	items, err := store.Kept(ctx, tenant, list, 0, -1)
	if err != nil {
		return nil, err
	}
	all := make([]T, len(items))
	for i, item := range items {
		if err := json.Unmarshal(item, &all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// newest merges several lists, newest first.
func newest[T interface{ When() time.Time }](all []T) []T {
	slices.SortStableFunc(all, func(a, b T) int { return cmp.Compare(b.When().UnixNano(), a.When().UnixNano()) })
	return all
}
