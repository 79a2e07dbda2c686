package redis

import (
	"context"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// order is how a page of deliveries knows which lists of a shard to open next: the tenant's destinations in the order of the
// newest entries of one kind of list. The scripts that add entries keep it in the same step (raise in lib.lua). An entry that
// leaves does not lower it, so that a time in it may be too late, which costs a look at a list. A time that is too early would
// hide rows. That happens when a replica of a former version writes, which does not keep the order. Therefore:
//
//   - a replica counts among the orderers with its first sign of life, before it can write
//   - a page trusts an order only if the shard notes that the tenant's orders are complete, and all living holders are orderers;
//     else it first has them made again from the lists (orderlists.lua)
//   - they are noted as complete when they were made while all holders were orderers; each sign of life of an orderer, once a
//     second, drops all notes if another holder lives, or if there was no such sign for three seconds
//   - retention sets the times of every destination to what its lists have, in each of its rounds
type order struct {
	sh      *shard
	list    byte
	entered map[string]bool // destinations that the page has
	more    int             // how many the page has asked for
	rest    uint64          // no other destination has a newer entry
	end     bool            // there is no other destination
}

// orderStep is how many destinations a page asks an order for at first; then twice as many each time.
const orderStep = 64

// orderArgs are the arguments of order.lua.
type orderArgs struct {
	Share string // the tenant, escaped
	Lists []orderRef
}

// orderRef is a part of an order: destinations not older than Top (microseconds, or +inf), and More others.
type orderRef struct {
	List, Top string
	More      int
}

// orderListsArgs are the arguments of orderlists.lua.
type orderListsArgs struct{ Dests []string }

// orderedArgs are the arguments of ordered.lua.
type orderedArgs struct{ Share, Disordered string }

// newestArgs are the arguments of newest.lua.
type newestArgs struct{ Lists []newestRef }

type newestRef struct{ List, Dest, Upto string }

// orders reads the first destinations of a shard's orders and adds their lists to the closed ones.
func (m *merge) orders(ctx context.Context, sh *shard) error {
	for made := false; ; made = true {
		var all []*order
		for _, kind := range m.kinds {
			all = append(all, &order{sh: sh, list: kind, entered: map[string]bool{}, more: orderStep})
		}
		before := len(m.closed)
		complete, disordered, err := m.extend(ctx, sh, all...)
		if err != nil {
			return err
		}
		if complete || made {
			m.tails = append(m.tails, all...)
			return nil
		}
		m.closed = m.closed[:before] // their times may be too early
		if err := m.s.makeOrders(ctx, sh, m.tenant, disordered); err != nil {
			return err
		}
	}
}

// extend reads more destinations of orders. Each read begins at the front, since a destination may have moved there meanwhile.
func (m *merge) extend(ctx context.Context, sh *shard, orders ...*order) (complete bool, disordered string, err error) {
	args := orderArgs{Share: escape(m.tenant)}
	for _, o := range orders {
		top, _ := m.upper(o.list)
		ref := orderRef{string(o.list), "+inf", o.more}
		if top.at < maxMicro {
			ref.Top = text(top.at)
		}
		args.Lists = append(args.Lists, ref)
	}
	got, err := orderScript.run(ctx, m.s, sh.base, args)
	if err != nil {
		return false, "", err
	}
	v := asList(got)
	if len(v) != 2+2*len(orders) {
		return false, "", errCorrupt
	}
	for i, o := range orders {
		above, found := int(asInt(v[2+2*i])), asList(v[3+2*i])
		o.end = len(found)/2 < above+o.more
		for k := 0; k+1 < len(found); k += 2 {
			name := asText(found[k])
			o.rest = number(asText(found[k+1]))
			if !o.entered[name] {
				o.entered[name] = true
				m.enter(sh, o.list, escape(m.tenant)+"/"+name, o.rest)
			}
		}
		o.more *= 2
		if o.list != 'W' && o.rest < m.since {
			o.end = true
		}
	}
	return asInt(v[0]) == 1, text(uint64(asInt(v[1]))), nil
}

// makeOrders sets the times of all destinations of a tenant in a shard's orders to what their lists have, and has the shard note
// that they are complete if no replica of a former version lives.
func (s *store) makeOrders(ctx context.Context, sh *shard, tenant, disordered string) error {
	share := escape(tenant)
	pipe := s.client.Pipeline()
	names := pipe.SMembers(ctx, sh.base+"dests")
	var ordered []*goredis.StringSliceCmd // what the orders have of destinations that are gone is removed
	for _, kind := range []byte(listLetters) {
		ordered = append(ordered, pipe.ZRange(ctx, sh.base+"order:"+share+":"+string(kind), 0, -1))
	}
	if err := s.exec(ctx, pipe); err != nil {
		return err
	}
	dests := map[string]bool{}
	for _, dest := range names.Val() {
		if strings.HasPrefix(dest, share+"/") {
			dests[dest] = true
		}
	}
	for _, cmd := range ordered {
		for _, name := range cmd.Val() {
			dests[share+"/"+name] = true
		}
	}
	var args orderListsArgs
	flush := func() error {
		if len(args.Dests) == 0 {
			return nil
		}
		_, err := orderListsScript.run(ctx, s, sh.base, args)
		args.Dests = args.Dests[:0]
		return err
	}
	for dest := range dests {
		if args.Dests = append(args.Dests, dest); len(args.Dests) == sliceEvents {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	_, err := orderedScript.run(ctx, s, sh.base, orderedArgs{share, disordered})
	return err
}

// lookEach is how many lists one script looks at: about a millisecond of Redis.
const lookEach = 256

// look finds the newest entry below the page's beginning of the lists that have newer ones, so that they too are opened only
// when the page reaches it. Lists without one are left out.
func (m *merge) look(ctx context.Context) error {
	by := map[*shard][]*listed{}
	for _, l := range m.closed {
		if !l.looked {
			by[l.sh] = append(by[l.sh], l)
		}
	}
	for sh, all := range by {
		for len(all) > 0 {
			some := all[:min(len(all), lookEach)]
			all = all[len(some):]
			args := newestArgs{Lists: make([]newestRef, len(some))}
			for i, l := range some {
				args.Lists[i] = newestRef{string(l.list), l.dest, text(l.upto)}
			}
			got, err := newestScript.run(ctx, m.s, sh.base, args)
			if err != nil {
				return err
			}
			for i, v := range asList(got) {
				l := some[i]
				l.looked = true
				at := asText(v)
				if l.end = at == ""; !l.end {
					l.newest = number(at)
					l.end = l.list != 'W' && l.newest < m.since
				}
			}
		}
	}
	m.sortClosed()
	return nil
}
