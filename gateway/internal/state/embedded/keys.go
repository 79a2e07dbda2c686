package embedded

import (
	"encoding/binary"
	"strings"
)

// The key space. The first byte names the table; numbers are big-endian, so that their order is the keys' order;
// text is escaped and ended (appendText), so that no name can reach into another's keys; `tenant` and `dest` are text.
//
//	table     key                                         value
//	meta      name                                        layout version, counters, marks, the time that was seen, hash of the key of respondents
//	event     position                                    the event: index terms, envelope, raw bytes
//	kept      position                                    the same, of an event below the mark of retention: a delivery refers
//	                                                      to it, or it is in its tenant's share
//	share     tenant position                             time, size of an event in kept that is within its tenant's share
//	outcome   position                                    the committed decision; its existence is the acknowledgement
//	claims    position                                    claims that ended without commit or release, and whether one is open
//	owed      position suffix                             a delivery that its event's commit did not finish, as it is now
//	id        tenant id                                   position, time: index and dedupe record in one
//	removedID tenant position                             time, id of a removed event that is still deduplicated
//	dedupe    position                                    tenant, id, time: the same, as former versions wrote it
//	tenant    tenant                                      the tenant's usage of what all tenants share
//	timeline  tenant position                             type, source, survey, time: what scans and filters read
//	response  tenant response position                    -
//	person    tenant hash position                        -
//	due       tenant dest due position suffix             bytes of its event
//	leased    position suffix                             tenant of a waiting delivery whose record has a lease
//	waiting   tenant dest created position suffix         -
//	dead      tenant dest time position suffix            -
//	history   tenant dest time position suffix            a delivery after one commit, with the attempts of that commit
//	failures  tenant dest time position suffix            the same, if an attempt failed
//	deadEvent tenant time position                        -
//	dest      tenant dest                                 counts of the five lists above, since when rules are complete
//	rule      tenant dest rule                            -: a rule or webhook whose deliveries are or were in its lists
//	hold      tenant dest                                 a hold
//	once      tenant key                                  owner, end
//	onceEnd   end tenant key                              -
//	setting   tenant kind name                            version, value
//	last      kind tenant                                 version of the tenant's last change of a setting of this kind
//	list      tenant list                                 first and last number
//	listItem  tenant list number                          end, item
//	lease     name                                        holder, end, fence
//	stats     tenant minute dest                          counts of a minute, as former versions kept them
//	count     step period tenant kind name unit           packed count of a minute, hour or day
//	countUse  step period tenant                          bytes of the tenant's counts in the period
//	countName tenant kind name                            day that it was last counted
//	countName tenant kind                                 how many names there are
//
// An event's number is its position: all records of an event are found by it, and removed with it in one range.
// A delivery is (position, suffix), where the suffix is the part of its id behind the event's.
const (
	tabMeta byte = iota + 1
	tabEvent
	tabKept
	tabOutcome
	tabClaims
	tabOwed
	tabID
	tabDedupe
	tabTimeline
	tabResponse
	tabPerson
	tabDue
	tabWaiting
	tabDead
	tabHistory
	tabFailures
	tabDeadEvent
	tabDest
	tabHold
	tabOnce
	tabOnceEnd
	tabSetting
	tabList
	tabListItem
	tabLease
	tabStats
	tabShare
	tabRemovedID
	tabTenant
	tabLeased
	tabLastChange
	tabCount
	tabRule
	tabCountUse
	tabCountName
)

// layoutVersion is written at the first start. A store of another version is refused.
const layoutVersion = 1

func appendU64(b []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(b, n) }

// appendTime keeps the order of times, also of those before 1970, which a clock in a test may show.
func appendTime(b []byte, ns int64) []byte { return appendU64(b, uint64(ns)^1<<63) }

func keyTime(b []byte) int64 { return int64(binary.BigEndian.Uint64(b) ^ 1<<63) }

// appendText writes s so that concatenated texts sort by their parts and none is a prefix of another:
// NUL becomes 00 FF, the end is 00 01.
func appendText(b []byte, s string) []byte {
	for {
		i := strings.IndexByte(s, 0)
		if i < 0 {
			b = append(b, s...)
			return append(b, 0, 1)
		}
		b = append(b, s[:i]...)
		b = append(b, 0, 0xff)
		s = s[i+1:]
	}
}

// cutText reads what appendText wrote.
func cutText(b []byte) (s string, rest []byte, ok bool) {
	for i := 0; i+1 < len(b); i++ {
		if b[i] != 0 {
			continue
		}
		if b[i+1] == 1 {
			if s == "" {
				return string(b[:i]), b[i+2:], true
			}
			return s + string(b[:i]), b[i+2:], true
		}
		if b[i+1] != 0xff {
			return "", nil, false
		}
		s += string(b[:i]) + "\x00"
		b = b[i+2:]
		i = -1
	}
	return "", nil, false
}

// appendID writes an event's id in half its bytes where it is what event.ID makes: 32 lower-case hex digits.
func appendID(b []byte, id string) []byte {
	if len(id) != 32 {
		return appendText(append(b, 2), id)
	}
	start := len(b)
	b = append(b, 1)
	for i := 0; i < 32; i += 2 {
		hi, lo := hexValue(id[i]), hexValue(id[i+1])
		if hi > 15 || lo > 15 {
			return appendText(append(b[:start], 2), id)
		}
		b = append(b, hi<<4|lo)
	}
	return b
}

func hexValue(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}

// cutID reads what appendID wrote.
func cutID(b []byte) (id string, rest []byte, ok bool) {
	const digits = "0123456789abcdef"
	if len(b) == 0 {
		return "", nil, false
	}
	if b[0] == 2 {
		return cutText(b[1:])
	}
	if b[0] != 1 || len(b) < 17 {
		return "", nil, false
	}
	var text [32]byte
	for i, c := range b[1:17] {
		text[2*i], text[2*i+1] = digits[c>>4], digits[c&15]
	}
	return string(text[:]), b[17:], true
}

func metaKey(name string) []byte { return append([]byte{tabMeta}, name...) }

// posKey is a key of a table that is keyed by position.
func posKey(b []byte, table byte, pos uint64) []byte {
	return appendU64(append(b[:0], table), pos)
}

func owedKey(b []byte, pos uint64, suffix string) []byte {
	return append(posKey(b, tabOwed, pos), suffix...)
}

func idKey(b []byte, tenant, id string) []byte {
	return appendID(appendText(append(b[:0], tabID), tenant), id)
}

func timelineKey(b []byte, tenant string, pos uint64) []byte {
	return tenantKey(b, tabTimeline, tenant, pos)
}

// tenantKey is a key of a table that is keyed by tenant and position.
func tenantKey(b []byte, table byte, tenant string, pos uint64) []byte {
	return appendU64(appendText(append(b[:0], table), tenant), pos)
}

// responsePrefix is a search term: a response id leads to the events of every response that has it, whatever its source and survey.
func responsePrefix(b []byte, tenant, response string) []byte {
	return appendText(appendText(append(b[:0], tabResponse), tenant), response)
}

func personPrefix(b []byte, tenant string, hash []byte) []byte {
	return append(appendText(append(b[:0], tabPerson), tenant), hash...)
}

// destPrefix is the prefix of a destination's keys in a table; in tabDest and tabHold it is the whole key.
func destPrefix(b []byte, table byte, tenant, dest string) []byte {
	return appendText(appendText(append(b[:0], table), tenant), dest)
}

// sortKey is the last part of a delivery's key in a list of its destination.
type sortKey struct {
	at     int64
	pos    uint64
	suffix string
}

func (p sortKey) append(b []byte) []byte {
	return append(appendU64(appendTime(b, p.at), p.pos), p.suffix...)
}

func cutSortKey(b []byte) (sortKey, bool) {
	if len(b) < 16 {
		return sortKey{}, false
	}
	return sortKey{at: keyTime(b), pos: binary.BigEndian.Uint64(b[8:]), suffix: string(b[16:])}, true
}

// less reports whether p sorts before q.
func (p sortKey) less(q sortKey) bool {
	if p.at != q.at {
		return p.at < q.at
	}
	if p.pos != q.pos {
		return p.pos < q.pos
	}
	return p.suffix < q.suffix
}

func listKey(b []byte, table byte, tenant, dest string, p sortKey) []byte {
	return p.append(destPrefix(b, table, tenant, dest))
}

func textKey(table byte, parts ...string) []byte {
	b := make([]byte, 0, 64)
	b = append(b, table)
	for _, p := range parts {
		b = appendText(b, p)
	}
	return b
}

// prefixEnd is the first key after all keys with a prefix.
func prefixEnd(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
