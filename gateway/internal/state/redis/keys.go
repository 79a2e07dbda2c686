package redis

import (
	"encoding/hex"
	"hash/fnv"
	"strconv"
	"strings"
)

// The key space. Everything begins with the prefix and a hash tag: a shard's number, or `meta` for what belongs to the
// gateway as a whole. A script touches keys of one tag only. Names of tenants and destinations are escaped (escape);
// `dest` is tenant/destination, N an event's number within its shard, counted up by the append script without gaps.
//
//	key of a shard        type    holds
//	events                stream  N-0: v id tenant type source survey response time received event raw (public)
//	meta                  hash    next, first, low, counters; seen, ahead, step, steppedat: the time (lib.lua, pace.lua)
//	slices                zset    slices of the indexes that there are
//	id:SLOT               hash    id and tenant -> N: the look-up of an event, and what a duplicate is recognised by
//	ids:TENANT            list    ids of events that are gone and still recognised
//	idcount, idage        zset    tenants by how many such ids they have, and by when their oldest was received
//	ids                   list    the same of all tenants, as former versions kept it
//	used                  zset    tenants by the bytes of their events that count for retention: in the stream and in shares
//	share:TENANT          stream  N-0, as in events: those that retention passed for what other tenants take
//	shares                zset    tenants by when the oldest event in their share was received
//	sharebytes            hash    TENANT -> bytes in its share
//	aside:SLICE           string  a bit for each event that is in a share
//	route:SLOT            hash    id and tenant -> shard, when it was asked for: where the id's events are; of several shards
//	routes                list    ids that have a route, oldest first
//	line:TENANT:SLICE     string  two bytes for each event of a tenant within 65,536 numbers
//	index:SLICE:BUCKET    string  eight bytes for each response and respondent of an event: tag, number
//	revised:N             hash    the newest revision of an event that was revised: the fields of its entry that are others
//	                              now, revision, newest (its decision), former (revisions), terms, bytes
//	terms:BUCKET:TAG      zset    numbers of events whose newest revision is found by it, beside the index
//	outcome:N/64          hash    the committed decision; its existence is the acknowledgement
//	owed:N/16             hash    deliveries not finished by their event's commit, as they stand now
//	due:dest              zset    what waits, by due time; a lease moves it
//	leased:HOLDER         zset    destination and member of what a holder has leased, by the lease's end
//	unheard               hash    holder -> newest lease of a call whose answer it waits for no more
//	wait:dest, dead:dest  zset    what waits by creation, what is dead by its end
//	h:dest, f:dest        stream  history: what commits said of deliveries; f: where an attempt was not delivered
//	service               zset    destinations by the time of their next service
//	holds                 hash    dest -> until when, why
//	waitbytes             hash    dest -> bytes of the events that deliveries wait with
//	deadbytes             hash    dest -> bytes of the events that dead letters keep
//	gone:TENANT           zset    events that are dead letters themselves
//	kept:N, kept          hash, zset  events that retention passed and something refers to
//	orphans               set     kept events that something ceased to refer to
//	dests, tenants        set     names
//	holders               zset    consumers by their last sign of life
//	sharers               set     consumers that know of shares
//	once:TENANT:KEY       string  end, owner
//	wake                  channel something may be claimed
//
//	key of meta           type    holds
//	meta                  hash    seen, ahead: the time, as in shards
//	layout                hash    version, shards, key of respondents' hashes, when it was found emptied
//	names                 hash    reference -> text of what records would repeat
//	set:TENANT:KIND       hash    name -> version, value
//	version, changed      string, zset  newest version; what changed by version, the newest of them
//	forgotten             string  newest version that left changed
//	changes               channel a setting changed
//	list:TENANT:LIST      list    end, item
//	lease:NAME            hash    holder, until, fence
//	stats:TENANT:MINUTE   hash    destination and count -> number
//	minutes:TENANT        zset    minutes that have statistics
//
// Anybody may read the stream of events; nobody else may write into it. An entry that another program adds takes a number
// of ours away: XADD with * makes them jump to the milliseconds since 1970. That is survived: numbers go on behind it, such
// entries are acknowledged and leave with their age, and health says so for a day.
//
// Memory is what Redis costs, so what an event has in these is packed: see the benchmarks.
const (
	layoutVersion = "1"
	// sharedLayout is written once events are put into shares (trimming.mayShare): a former version does not find them there.
	sharedLayout = "2"
)

const (
	slots   = 16384 // hashes of ids: each packed by Redis up to 128 ids, two million events in a shard
	sliced  = 65536 // events in a slice of the indexes
	buckets = 32    // of an index slice: so few that one call of many events writes to each once
	group   = "gateway"
)

// escape makes any text a part of a key: the separators : and / and the braces of a hash tag cannot be in it, nor NUL,
// which ends text in records.
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

// token is a destination's name in keys.
func token(tenant, destination string) string { return escape(tenant) + "/" + escape(destination) }

func untoken(t string) (tenant, destination string) {
	tenant, destination, _ = strings.Cut(t, "/")
	return unescape(tenant), unescape(destination)
}

// slotOf and fieldOf are where an event's id is kept; the library of scripts computes the same.
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

// shardOf keeps what has one name in one shard. Events go by their response id alone, so that a response's are together whatever
// else is said of them; that other responses of the same id are in that shard too does no harm. It must not change: what was
// written under a name is clockCheck for where the name leads.
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

// splitID takes a delivery's id apart: dl_<event id>_<suffix>.
func splitID(id string) (eventID, suffix string, ok bool) {
	rest, ok := strings.CutPrefix(id, "dl_")
	i := strings.LastIndexByte(rest, '_')
	if !ok || i <= 0 || i == len(rest)-1 || strings.IndexByte(rest, 0) >= 0 {
		return "", "", false
	}
	return rest[:i], rest[i+1:], true
}

func deliveryID(eventID, suffix string) string { return "dl_" + eventID + "_" + suffix }
