package browser

import "slices"

// links are the addresses on this site that a page leads to: path and query.
const links = `[...document.querySelectorAll("main a[href], header a[href]")]
	.filter(a => a.origin === location.origin && !a.hasAttribute("download")).map(a => a.pathname + a.search)`

// Links are the addresses on its own site that the page leads to, as path and query, in their order.
func (p *Page) Links() []string {
	p.t.Helper()
	return Ask[[]string](p, links)
}

// Crawl opens pages of a site, from some addresses on to whatever they lead to, and calls visit with the page open. Of each kind it opens
// one: kind names the kind of an address (path and query), and is empty for one that is not opened. It returns the kinds, sorted.
func (p *Page) Crawl(site string, from []string, kind func(address string) string, visit func(address string)) []string {
	p.t.Helper()
	var kinds []string
	for queue := from; len(queue) > 0; queue = queue[1:] {
		address := queue[0]
		is := kind(address)
		if is == "" || slices.Contains(kinds, is) {
			continue
		}
		kinds = append(kinds, is)
		p.Open(site + address)
		visit(address)
		queue = append(queue, p.Links()...)
	}
	slices.Sort(kinds)
	return kinds
}
