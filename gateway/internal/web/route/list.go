package route

import (
	"cmp"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

const (
	// pageLength is the length of a page without `limit`.
	pageLength = 50
	// tenantsEach bounds the tenants that one page with `tenant=*` asks: most may have nothing to show.
	tenantsEach = 200
)

// List answers with a page of a list. page lists the call's tenant: at most limit entries, from where the page before ended, which is
// cursor. With `tenant=*` it is called for one tenant after another, with a copy of the call; the tenants are sorted.
//
// A page over all tenants ends when it is full, when a search of one tenant used up its budget, or after tenantsEach tenants: so it may be
// shorter than `limit`, even empty, and have a `next`.
func List[V any](c *Call, tenants func() []string, page func(c *Call, cursor string, limit int) (view.Page[V], error)) error {
	limit, err := c.Limit()
	if err != nil {
		return err
	}
	limit = cmp.Or(limit, pageLength)
	var p view.Page[V]
	if c.Tenant == access.AnyTenant {
		p, err = listAll(c, tenants(), limit, page)
	} else {
		p, err = page(c, c.Asked("cursor"), limit)
	}
	if err != nil {
		return err
	}
	if p.Data == nil {
		p.Data = []V{}
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, p)
}

// listAll returns a page of all tenants. Its cursor holds TENANT/CURSOR: the tenant to continue with, and where in its own list.
func listAll[V any](c *Call, tenants []string, limit int, page func(c *Call, cursor string, limit int) (view.Page[V], error)) (all view.Page[V], err error) {
	place, err := readCursor(c.Asked("cursor"), ofTenants)
	if err != nil {
		return all, err
	}
	first, cursor, _ := strings.Cut(place, "/")
	at, found := slices.BinarySearch(tenants, first)
	if !found { // it was deleted meanwhile
		cursor = ""
	}
	end := func(tenant, cursor string) (view.Page[V], error) {
		next := writeCursor(ofTenants, tenant+"/"+cursor)
		all.Next = &next
		return all, nil
	}
	for i, tenant := range tenants[at:] {
		if i == tenantsEach || len(all.Data) == limit {
			return end(tenant, "")
		}
		of := *c
		of.Tenant = tenant
		p, err := page(&of, cursor, limit-len(all.Data))
		if err != nil {
			return all, err
		}
		all.Data = append(all.Data, p.Data...)
		if p.Next != nil {
			all.SearchedBackTo = p.SearchedBackTo
			return end(tenant, *p.Next)
		}
		cursor = ""
	}
	return all, nil
}

// PageOfOrdered returns a page of a list that is in memory, in any order; the cursor holds the name of the last entry before it. An entry
// that has moved meanwhile may be missed, or be there twice.
func PageOfOrdered[T, V any](all []T, cursor string, limit int, name func(T) string, show func([]T) ([]V, error)) (p view.Page[V], err error) {
	place := func(target string) int {
		return slices.IndexFunc(all, func(item T) bool { return name(item) == target })
	}
	if cursor != "" {
		after, err := After(cursor, func(name string) bool { return place(name) >= 0 })
		if err != nil {
			return p, err
		}
		all = all[place(after)+1:] // from the beginning, if it is gone
	}
	if len(all) > limit {
		all = all[:limit]
		next := Next(name(all[limit-1]))
		p.Next = &next
	}
	p.Data, err = show(all)
	return p, err
}

// PageOfSorted returns a page of a list that is in memory, sorted by name; the cursor holds the name of the last entry before it.
func PageOfSorted[T, V any](all []T, cursor string, limit int, name func(T) string, show func([]T) ([]V, error)) (p view.Page[V], err error) {
	find := func(after string) (at int, found bool) {
		return slices.BinarySearchFunc(all, after, func(item T, target string) int { return strings.Compare(name(item), target) })
	}
	if cursor != "" {
		after, err := After(cursor, func(name string) bool { _, found := find(name); return found })
		if err != nil {
			return p, err
		}
		at, found := find(after)
		if found {
			at++
		}
		all = all[at:]
	}
	if len(all) > limit {
		all = all[:limit]
		next := Next(name(all[limit-1]))
		p.Next = &next
	}
	p.Data, err = show(all)
	return p, err
}
