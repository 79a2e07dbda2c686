package settings

import (
	"container/heap"
	"time"
)

// dirty is a set of tenants whose documents changed, each with the time from which on it may be compiled. A tenant is in it once.
// The earliest comes first, so that a tenant that changes all the time goes behind those that waited.
type dirty struct {
	order  dirtyOrder
	byName map[string]*dirtyTenant
}

type dirtyTenant struct {
	name  string
	due   time.Duration // of clock.Elapsed
	since time.Time     // when the oldest change that is not applied was noticed
	place int
}

// add adds a tenant that may be compiled from due on. One that is there already keeps its place, unless due is earlier, and
// its since.
func (d *dirty) add(tenant string, due time.Duration, since time.Time) {
	if d.byName == nil {
		d.byName = map[string]*dirtyTenant{}
	}
	if t := d.byName[tenant]; t != nil {
		if due < t.due {
			t.due = due
			heap.Fix(&d.order, t.place)
		}
		if since.Before(t.since) {
			t.since = since
		}
		return
	}
	t := &dirtyTenant{name: tenant, due: due, since: since}
	d.byName[tenant] = t
	heap.Push(&d.order, t)
}

// first returns the tenant that may be compiled first; nil: the set is empty.
func (d *dirty) first() *dirtyTenant {
	if len(d.order) == 0 {
		return nil
	}
	return d.order[0]
}

// take removes and returns the first tenant.
func (d *dirty) take() *dirtyTenant {
	t, _ := heap.Pop(&d.order).(*dirtyTenant)
	delete(d.byName, t.name)
	return t
}

// dirtyOrder is a heap by due.
type dirtyOrder []*dirtyTenant

func (o dirtyOrder) Len() int           { return len(o) }
func (o dirtyOrder) Less(i, j int) bool { return o[i].due < o[j].due }
func (o dirtyOrder) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].place, o[j].place = i, j
}

// Push is for package heap.
func (o *dirtyOrder) Push(x any) {
	t, _ := x.(*dirtyTenant)
	t.place = len(*o)
	*o = append(*o, t)
}

// Pop is for package heap.
func (o *dirtyOrder) Pop() any {
	last := (*o)[len(*o)-1]
	(*o)[len(*o)-1] = nil
	*o = (*o)[:len(*o)-1]
	return last
}
