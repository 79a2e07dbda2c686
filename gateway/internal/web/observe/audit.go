package observe

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// Bounds of one page: how many lines it reads at once, and at all.
const (
	auditChunk = 500
	auditMost  = 5000
)

// cursorKind is the first byte of the place in a cursor of the audit.
const cursorKind = 'a'

// auditPlace is where a page ended: at the skip-th line, which is this one. Lines that came since then are before it.
type auditPlace struct {
	skip int
	at   int64 // milliseconds
	sum  [8]byte
}

func placeOf(skip int, l *audit.Line) auditPlace {
	p := auditPlace{skip: skip, at: l.At.UnixMilli()}
	text, _ := json.Marshal(l)
	sum := sha256.Sum256(text)
	copy(p.sum[:], sum[:])
	return p
}

func (p auditPlace) cursor() string {
	b := binary.AppendUvarint([]byte{cursorKind}, uint64(p.skip))
	b = binary.AppendVarint(b, p.at)
	return state.EncodeCursor(append(b, p.sum[:]...))
}

func readPlace(cursor string) (p auditPlace, err error) {
	b, err := state.DecodeCursor(cursor, cursorKind)
	if err != nil {
		return p, err
	}
	skip, n := binary.Uvarint(b)
	if n <= 0 || skip > 1<<20 {
		return p, state.ErrCursor
	}
	at, m := binary.Varint(b[n:])
	if m <= 0 || len(b) != n+m+len(p.sum) {
		return p, state.ErrCursor
	}
	p.skip, p.at = int(skip), at
	copy(p.sum[:], b[n+m:])
	return p, nil
}

// auditQuery selects lines.
type auditQuery struct {
	of, by       string
	since, until time.Time
}

func (q *auditQuery) matches(l *audit.Line) bool {
	return (q.of == "" || l.Of == q.of || !strings.Contains(q.of, "/") && strings.HasPrefix(l.Of, q.of+"/")) &&
		(q.by == "" || l.Name == q.by) &&
		(q.until.IsZero() || l.At.Before(q.until))
}

// audit answers with a page of the tenant's audit. It reads at most auditMost lines; `next` continues behind them.
func (o *Observer) audit(c *route.Call) error {
	limit, err := c.Limit()
	if err != nil {
		return err
	}
	if limit == 0 {
		limit = 50
	}
	q := auditQuery{of: strings.Replace(c.Asked("of"), ":", "/", 1), by: c.Asked("by")}
	if q.since, q.until, err = c.Span(o.Clock.Now()); err != nil {
		return err
	}
	if own := o.Since(c.Tenant); c.Grant.Tenant != access.AnyTenant && own.After(q.since) {
		q.since = own // what is before is of a former tenant of the name
	}
	var from *auditPlace
	if cursor := c.Asked("cursor"); cursor != "" {
		p, err := readPlace(cursor)
		if err != nil {
			return route.NoCursor()
		}
		from = &p
	}
	page, err := o.auditPage(c, &q, from, limit)
	if err != nil {
		return err
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, page)
}

func (o *Observer) auditPage(c *route.Call, q *auditQuery, from *auditPlace, limit int) (*view.Page[view.AuditLine], error) {
	page := &view.Page[view.AuditLine]{Data: []view.AuditLine{}}
	skip := 0
	if from != nil {
		skip = from.skip // the list only grows before it: the line is here, or later
	}
	read := 0
	for {
		lines, err := o.Audit.Lines(c.Base, c.Tenant, skip, auditChunk)
		if err != nil {
			return nil, err
		}
		for i := range lines {
			l := &lines[i]
			at := skip + i
			if from != nil { // the last line of the page before, or one that is older where that one has expired
				switch place := placeOf(from.skip, l); {
				case place == *from:
					from = nil
					continue
				case l.At.UnixMilli() < from.at:
					from = nil
				default:
					continue
				}
			}
			if !q.since.IsZero() && l.At.Before(q.since) {
				return page, nil
			}
			if read++; q.matches(l) {
				page.Data = append(page.Data, view.NewAuditLine(l))
			}
			if len(page.Data) == limit || read == auditMost {
				next := placeOf(at, l).cursor()
				page.Next = &next
				if read == auditMost && len(page.Data) < limit {
					page.SearchedBackTo = view.Time{Time: l.At}
				}
				return page, nil
			}
		}
		if len(lines) < auditChunk {
			return page, nil
		}
		skip += len(lines)
	}
}
