package console

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

// leftOut says why a page leaves out a part that could not be read: it shows what was done, or refused, without that part.
func leftOut(err error) *page.Problem {
	p := answer.FromError(err)
	return &page.Problem{Status: p.Status, Detail: p.Detail}
}

// order is a column that a list can be sorted by.
type order struct {
	Name string
	// Words say it in a menu: what comes first.
	Words string
	// By is the value of `sort` that it begins with: what needs attention first. It is empty for a column that cannot be sorted by.
	By string
	// Sorted is ascending or descending, of the column that the list is sorted by.
	Sorted string
	// Href sorts by it, or turns the order.
	Href    string
	Numeric bool
}

// turned returns the opposite order.
func turned(by string) string {
	if name, down := strings.CutPrefix(by, "-"); down {
		return name
	}
	return "-" + by
}

// listing is a list that can be searched and sorted: its state is in its address.
type listing struct {
	Q, Sort string
	Orders  []order
	// Here is the page's address without the cursor. Live is that of its rows as they are now; empty where they would move.
	Here, Live string
}

// listingOf reads the address of a list, whose page is at a path below that of its tenant.
func listingOf(r *page.Request, path string, orders []order) listing {
	l := listing{Q: strings.TrimSpace(r.Query("q")), Sort: r.Query("sort"), Orders: slices.Clone(orders)}
	at := func(by, cursor string) string {
		here := url.Values{}
		for name, value := range map[string]string{"q": l.Q, "sort": by, "cursor": cursor} {
			if value != "" {
				here.Set(name, value)
			}
		}
		return r.Base() + path + "?" + here.Encode()
	}
	if l.Here = at(l.Sort, ""); !strings.HasSuffix(l.Here, "?") {
		l.Here += "&"
	}
	if l.Sort == "" || l.Sort == "name" {
		if l.Live = at(l.Sort, r.Query("cursor")); !strings.HasSuffix(l.Live, "?") {
			l.Live += "&"
		}
		l.Live += "part=rows"
	}
	for i := range l.Orders {
		o := &l.Orders[i]
		if o.By == "" {
			continue
		}
		by := o.By
		if l.Sort == o.By || l.Sort == "" && o.By == "name" || l.Sort == turned(o.By) {
			o.Sorted = "ascending"
			if strings.HasPrefix(l.Sort, "-") {
				o.Sorted = "descending"
			}
			if l.Sort != turned(o.By) {
				by = turned(o.By)
			}
		}
		o.Href = at(by, "")
	}
	return l
}

// query is the question to the API for a page of the list.
func (l *listing) query(r *page.Request, include string) url.Values {
	return url.Values{"include": {include}, "limit": {"50"}, "q": {l.Q}, "sort": {l.Sort}, "cursor": {r.Query("cursor")}}
}

// top names the newest row of a list, as it is now: its id and its time; empty of a list without rows.
func top[V any](rows []V, place func(*V) (id string, at view.Time)) string {
	if len(rows) == 0 {
		return ""
	}
	id, at := place(&rows[0])
	return id + "~" + at.String()
}

// above counts the rows of a list, the newest first, that came or changed since its first row was the one that top named. The row itself is
// none of them: it may have changed meanwhile, or have left the list.
func above[V any](rows []V, was string, place func(*V) (id string, at view.Time)) int {
	cut := max(strings.LastIndexByte(was, '~'), 0)
	since, _ := time.Parse(time.RFC3339, strings.TrimPrefix(was[cut:], "~"))
	over, later := 0, 0
	for i := range rows {
		switch id, at := place(&rows[i]); {
		case id == was[:cut]:
			over = i
		case at.After(since):
			later++
		}
	}
	return max(over, later)
}
