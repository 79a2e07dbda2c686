package route

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// A list over all tenants asks a bounded number of them for each page, and its pages together are all that there is.
func TestListOfAllTenants(t *testing.T) {
	t.Parallel()
	var tenants, want []string
	has := map[string][]string{}
	for i := range 3*tenantsEach + 7 { // most have nothing
		tenant := fmt.Sprintf("t%04d", i)
		tenants = append(tenants, tenant)
		if i%150 == 3 {
			for n := range 4 {
				has[tenant] = append(has[tenant], fmt.Sprintf("%s-%d", tenant, n))
			}
			want = append(want, has[tenant]...)
		}
	}
	app := fiber.New()
	var got []string
	asked := 0
	page := func(c *Call, cursor string, limit int) (view.Page[string], error) {
		asked++
		return PageOfSorted(has[c.Tenant], cursor, limit, func(s string) string { return s }, func(some []string) ([]string, error) { return some, nil })
	}
	next := ""
	for range 100 {
		ctx := app.AcquireCtx(&fasthttp.RequestCtx{})
		ctx.Request().SetRequestURI("/?limit=3&cursor=" + url.QueryEscape(next))
		asked = 0
		if err := List(&Call{Ctx: ctx, Tenant: access.AnyTenant}, func() []string { return tenants }, page); err != nil {
			t.Fatal(err)
		}
		if asked > tenantsEach {
			t.Fatalf("a page asked %d tenants", asked)
		}
		var p view.Page[string]
		if err := json.Unmarshal(ctx.Response().Body(), &p); err != nil || len(p.Data) > 3 {
			t.Fatalf("%v %s", err, ctx.Response().Body())
		}
		app.ReleaseCtx(ctx)
		got = append(got, p.Data...)
		if p.Next == nil {
			break
		}
		next = *p.Next
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
