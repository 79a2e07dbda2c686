package redis

import (
	"encoding/hex"
	"hash/fnv"
	"strconv"
	"strings"
)

// The key space. Every key begins with the prefix and a hash tag: a shard's number, or `meta` for what belongs to no shard. A
// script uses keys of one tag only. Names of tenants and destinations are escaped (escape). `dest` is tenant/destination. N
// is an event's number within its shard; the append script counts it up without gaps.
//
//	key of a shard        type    holds
//	events                stream  N-0: v id tenant type source survey response time received event raw (public)
//	meta                  hash    next, first, low, counters; seen, ahead, step, steppedat: the time (lib.lua, pace.lua)
//	slices                zset    slices of the indexes that there are
//	id:SLOT               hash    id and tenant -> N: finds an event, and recognises duplicates
//	ids:TENANT            list    ids of events that were removed and are still recognised
//	idcount, idage        zset    tenants by how many such ids they have, and by when their oldest was received
//	ids                   list    the same of all tenants, as former versions kept it
//	used                  zset    tenants by the bytes of their events in the stream and in shares, which retention bounds
//	share:TENANT          stream  N-0, as in events: those kept while retention removed the events of other tenants around them
//	shares                zset    tenants by when the oldest event in their share was received
//	sharebytes            hash    TENANT -> bytes in its share
//	aside:SLICE           string  one bit for each event that is in a share
//	route:SLOT            hash    id and tenant -> shard of the id's events, and when it was asked for; with several shards only
//	routes                list    ids that have a route, oldest first
//	line:TENANT:SLICE     string  two bytes for each event of a tenant within 65,536 numbers
//	index:SLICE:BUCKET    string  eight bytes for each response and respondent of an event: tag, number
//	revised:N             hash    the newest revision of an event that was revised: the changed fields of its entry,
//	                              revision, newest (its decision), former (revisions), terms, bytes
//	terms:BUCKET:TAG      zset    numbers of events whose newest revision has this term; they are not in the index
//	outcome:N/64          hash    the committed decision; if it exists, the event is committed
//	owed:N/16             hash    deliveries that were not finished by their event's commit, in their present state
//	due:dest              zset    waiting deliveries by due time; a lease moves the time
//	leased:HOLDER         zset    destination and member of a holder's leased deliveries, by the end of the lease
//	unheard               hash    holder -> newest lease of a call whose answer was lost
//	wait:dest, dead:dest  zset    waiting deliveries by creation, dead letters by their end
//	h:dest, f:dest        stream  history of deliveries; f: those with a failed attempt
//	service               zset    destinations by the time of their next service
//	holds                 hash    dest -> until when, why
//	waitbytes             hash    dest -> bytes of the events that deliveries wait with
//	deadbytes             hash    dest -> bytes of the events that dead letters keep
//	gone:TENANT           zset    events that are dead letters
//	kept:N, kept          hash, zset  events that are older than retention keeps and that something refers to
//	orphans               set     kept events that lost a reference
//	loose                 zset    events whose entry was taken out of the stream because they, or others beside them, were erased;
//	                              they are in kept:N, and everything else treats them like those in the stream
//	looseshare:TENANT     zset    the same of a tenant's share
//	dests, tenants        set     names
//	order:TENANT:LIST     zset    destinations by the newest entry of a list (W: wait, X: dead, h, f), or a later time
//	ordered               set     tenants whose orders have all destinations (order.go)
//	holders               zset    consumers by their last sign of life
//	sharers, orderers     set     consumers whose version knows shares, keeps the orders of lists
//	once:TENANT:KEY       string  end, owner
//	st:TENANT:KIND:NAME:STEP:PERIOD  hash  statistics: minute of an hour, hour of a day, day of a month -> packed count, in parts
//	stnames:TENANT:KIND   zset    names with statistics by the day that they were last counted
//	stbytes:STEP:PERIOD   hash    tenant -> bytes of its statistics in this period; the empty field is their sum
//	stwriter:HOLDER       string  number of the last batch of statistics that a process added
//	wake                  channel published when an event may be claimed
//
//	key of meta           type    holds
//	meta                  hash    seen, ahead: the time, as in shards
//	layout                hash    version, shards, key of the respondents' hashes, when the store was found emptied
//	names                 hash    reference -> text that records would otherwise repeat
//	set:TENANT:KIND       hash    name -> version, value
//	last:KIND             hash    tenant -> version of its last change of that kind
//	version, changed      string, zset  newest version; changed settings by version, the newest of them
//	forgotten             string  newest version that left changed
//	changes               channel a setting changed
//	list:TENANT:LIST      list    end, item
//	lease:NAME            hash    holder, until, fence
//	trim                  hash    round of retention over names -> where the next call of Trim continues (turns.go)
//	stats:TENANT:MINUTE   hash    destination and count -> number, as former versions kept statistics
//	minutes:TENANT        zset    minutes that have such statistics
//
// Any program may read the stream of events, and none may write into it. XADD with * makes numbers jump to the milliseconds
// since 1970. The engine tolerates that: numbers continue after such entries, which are acknowledged and removed by age, and
// health warns for a day.
//
// Redis needs memory for every byte, so these structures are packed: see the benchmarks.
const (
	layoutVersion = "1"
	// sharedLayout is written before events are moved to shares (trimming.mayShare): former versions do not find them there.
	sharedLayout = "2"
)

const (
	slots   = 16384 // hashes of ids: each packed by Redis up to 128 ids, two million events in a shard
	sliced  = 65536 // events in a slice of the indexes
	buckets = 32    // of an index slice: few, so that a call with many events appends to each once
	group   = "gateway"
)

// escape makes any text a part of a key, without the separators : and /, the braces of a hash tag, and NUL, which ends texts
// in records.
func escape(s string) string {
	if !strings.ContainsAny(s, "%:/{}\x00") {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; strings.IndexByte("%:/{}\x00", c) >= 0 {
			b.WriteString("%" + hex.EncodeToString([]byte{c}))
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				b.WriteByte(c[0])
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// token returns a destination's name in keys.
func token(tenant, destination string) string { return escape(tenant) + "/" + escape(destination) }

func untoken(t string) (tenant, destination string) {
	tenant, destination, _ = strings.Cut(t, "/")
	return unescape(tenant), unescape(destination)
}

// slotOf and fieldOf return where an event's ID is kept; lib.lua computes the same (idplace).
func slotOf(id string) string {
	slot := 0
	for i := range len(id) {
		slot = (slot*31 + int(id[i])) % slots
	}
	return strconv.Itoa(slot)
}

func fieldOf(tenant, id string) string {
	if len(id) == 32 && strings.ToLower(id) == id {
		if raw, err := hex.DecodeString(id); err == nil {
			return string(raw) + tenant
		}
	}
	return id + "\x00" + tenant
}

// shardOf returns the shard of a name. Events use their response ID alone, so that all events of a response are together;
// other responses with the same ID share the shard, which is harmless. The function must not change: readers look for a name
// in the shard that it returns.
func shardOf(tenant, name string, shards int) int {
	if shards == 1 {
		return 0
	}
	h := fnv.New32a()
	h.Write([]byte(tenant))
	h.Write([]byte{0})
	h.Write([]byte(name))
	return int(h.Sum32() % uint32(shards))
}
