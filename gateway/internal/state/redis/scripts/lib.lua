-- The library that every script begins with. KEYS[1] is the shard's prefix with its hash tag. Every key of a script is that
-- prefix and a name, so a script uses one shard only. ARGV[1] is the time in microseconds. It is empty in production: then
-- the time is that of Redis, and all replicas share one clock.
local base = KEYS[1]
local events, meta, group = base .. 'events', base .. 'meta', 'gateway'

-- Arguments are read in order, each once: take(n) returns the next n as text, numbers(n) as numbers. Their names are those
-- of the fields of the script's struct in Go; the length of a list is called n and its name (TestScriptArguments compares them).
-- Lua converts text in arithmetic and as the bound of a loop, but not in comparisons.
local nextarg = 2
local function take(n)
  nextarg = nextarg + n
  return unpack(ARGV, nextarg - n, nextarg - 1)
end
local function numbers(n)
  if n > 0 then return tonumber(take(1)), numbers(n - 1) end
end

-- A number as text: Lua alone would write a microsecond time as 1.7e+15.
local function text(n) return string.format('%.0f', n) end

-- Clocks step. `wall` is the time of the clock, for time stamps and the ages of what has one. `now` is for due times, leases,
-- holds and signs of life, and never goes back: after a step back it continues from the latest time that was seen, `ahead` of
-- the clock. The time seen is written every second (tick), so a clock far beyond it has stepped; only tick and beat accept that.
local wall
if ARGV[1] ~= '' then
  wall = tonumber(ARGV[1])
else
  local t = redis.call('TIME')
  wall = t[1] * 1000000 + t[2]
end
local second = 1000000
local hand = redis.call('HMGET', meta, 'ahead', 'seen')
local ahead, seen = tonumber(hand[1] or '0'), tonumber(hand[2] or '0')
local now = math.max(wall + ahead, seen)
if seen > 0 and ARGV[1] == '' then now = math.min(now, seen + 30 * second) end

-- The time of signs of life: that of Redis, also if the caller passes another.
local function signtime()
  if ARGV[1] == '' then return now end
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end

-- Counters are written once per call, for all of its events.
local deltas = {}
local function count(name, by) deltas[name] = (deltas[name] or 0) + by end
local function writecounters()
  for name, by in pairs(deltas) do
    if by ~= 0 then redis.call('HINCRBY', meta, name, text(by)) end
  end
end

-- The key and field of an event's ID. The hashes are small, so that Redis packs them. Go computes the same (idRefOf).
local function idplace(tenant, id)
  local slot = 0
  for i = 1, #id do slot = (slot * 31 + string.byte(id, i)) % 16384 end
  if #id == 32 and not string.find(id, '[^0-9a-f]') then
    id = string.gsub(id, '..', function(h) return string.char(tonumber(h, 16)) end)
  else
    id = id .. '\0'
  end
  return base .. 'id:' .. slot, id .. tenant
end

local function owedkey(n) return base .. 'owed:' .. text(math.floor(n / 16)) end
local function owedfield(n, suffix) return string.char(n % 16) .. suffix end
local function member(n, suffix) return struct.pack('>I8', n) .. suffix end

-- The record of a delivery: a header that scripts read, and a tail that only Go reads.
--   state: W waiting, X dead, D delivered, S skipped, P dropped
--   link: the newest entry of its history: list (h, f or -), time, sequence, destination (empty: its own)
local layout = '>c1BI4I7I7I7I7c1I7I2sss'
local function decoderecord(v)
  local o, tail = {}, nil
  o.state, o.leased, o.size, o.created, o.updated, o.due, o.failed, o.list, o.at, o.seq, o.where, o.dest, o.reason, tail =
    struct.unpack(layout, v)
  o.tail = string.sub(v, tail)
  return o
end
local function encoderecord(o)
  return struct.pack(layout, o.state, o.leased, o.size, o.created, o.updated, o.due, o.failed, o.list, o.at, o.seq,
    o.where, o.dest, o.reason) .. o.tail
end

-- The bytes of a destination's dead letters are counted from its first one on. If a former version listed some, they are
-- estimated when they are needed (estimatedead.lua).
local function deadbytes(dest, by)
  local left = redis.call('ZCARD', base .. 'dead:' .. dest)
  if left == 0 then
    redis.call('HDEL', base .. 'deadbytes', dest)
  elseif left == 1 and by > 0 then
    redis.call('HSET', base .. 'deadbytes', dest, by)
  elseif redis.call('HEXISTS', base .. 'deadbytes', dest) == 1 then
    redis.call('HINCRBY', base .. 'deadbytes', dest, by)
  end
end

-- A holder's leases are listed until they are settled, so that they end with their holder. An entry is the destination, NUL
-- and the member, scored by the end of the lease; it is valid while that is the delivery's due time. `holder` is the caller,
-- set by scripts that lease or settle.
local holder
local function leases(of) return base .. 'leased:' .. of end

-- The orders of lists: for each tenant and kind of list its destinations by the time of the newest entry, or a later one, as an
-- entry that leaves does not lower it (correct does). A page opens a list only when it reaches that time. A call writes each
-- time once.
local listkeys = { W = 'wait:', X = 'dead:', h = 'h:', f = 'f:' }
local function orderplace(list, dest)
  local tenant, name = string.match(dest, '^([^/]*)/(.*)$')
  return base .. 'order:' .. tenant .. ':' .. list, name
end
local raised = {}
local function raise(list, dest, at)
  local was = raised[list .. dest]
  if was and was >= at then return end
  raised[list .. dest] = at
  local order, name = orderplace(list, dest)
  redis.call('ZADD', order, 'GT', text(at), name)
end

-- The time of the newest entry of a list up to a time (text), as text; nil: there is none.
local function newestof(list, dest, upto)
  local k = base .. listkeys[list] .. dest
  if list == 'W' or list == 'X' then
    return redis.call('ZREVRANGEBYSCORE', k, upto or '+inf', '-inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
  end
  local found = redis.call('XREVRANGE', k, upto or '+', '-', 'COUNT', 1)[1]
  return found and string.match(found[1], '^%d+')
end

-- Sets a destination's times in the orders to what its lists have.
local function correct(dest)
  for list in pairs(listkeys) do
    local at = newestof(list, dest)
    local order, name = orderplace(list, dest)
    if at then redis.call('ZADD', order, at, name) else redis.call('ZREM', order, name) end
  end
end

-- Whether a living holder is of a former version, which does not keep the orders.
local function unordered() return redis.call('ZDIFF', 2, base .. 'holders', base .. 'orderers')[1] ~= nil end

local touched = {}
local function addtolists(o, n, suffix, score)
  local m = member(n, suffix)
  if o.state == 'W' then
    redis.call('ZADD', base .. 'due:' .. o.dest, text(score), m)
    if o.leased == 1 and holder then redis.call('ZADD', leases(holder), text(score), o.dest .. '\0' .. m) end
    redis.call('ZADD', base .. 'wait:' .. o.dest, text(o.created), m)
    raise('W', o.dest, o.created)
    redis.call('HINCRBY', base .. 'waitbytes', o.dest, o.size)
    count('waiting', 1)
    touched[o.dest] = true
  elseif o.state == 'X' then
    redis.call('ZADD', base .. 'dead:' .. o.dest, text(o.updated), m)
    raise('X', o.dest, o.updated)
    deadbytes(o.dest, o.size)
    count('dead', 1)
    count('deadbytes', o.size)
  end
end
local function removefromlists(o, n, suffix)
  local m = member(n, suffix)
  if o.state == 'W' then
    redis.call('ZREM', base .. 'due:' .. o.dest, m)
    redis.call('ZREM', base .. 'wait:' .. o.dest, m)
    if o.leased == 1 and holder then redis.call('ZREM', leases(holder), o.dest .. '\0' .. m) end
    redis.call('HINCRBY', base .. 'waitbytes', o.dest, -o.size)
    count('waiting', -1)
    touched[o.dest] = true
  elseif o.state == 'X' then
    redis.call('ZREM', base .. 'dead:' .. o.dest, m)
    deadbytes(o.dest, -o.size)
    count('dead', -1)
    count('deadbytes', -o.size)
  end
end

-- Updates a destination's place in the queue of destinations: the latest of its earliest due time, the end of its hold and the
-- time it was last served. A destination on hold without an end is not in the queue.
local function touch(dest, served)
  local queue = base .. 'service'
  local first = redis.call('ZRANGE', base .. 'due:' .. dest, 0, 0, 'WITHSCORES')
  if not first[2] then return redis.call('ZREM', queue, dest) end
  local at = math.max(tonumber(first[2]), served or 0)
  local hold = redis.call('HGET', base .. 'holds', dest)
  if hold then
    local till = struct.unpack('>I7', hold)
    if till == 0 then return redis.call('ZREM', queue, dest) end
    at = math.max(at, till)
  end
  redis.call('ZADD', queue, text(at), dest)
end
local function touchall()
  for dest in pairs(touched) do touch(dest) end
end

-- Makes a holder's leases due: all of them, or those with one of some due times. The holder may still settle a delivery until
-- another one leases it.
local function unlease(of, words)
  local freed = 0
  local all = redis.call('ZRANGE', leases(of), 0, -1, 'WITHSCORES')
  for i = 1, #all, 2 do
    local cut = string.find(all[i], '%z')
    local dest, m = string.sub(all[i], 1, cut - 1), string.sub(all[i], cut + 1)
    local n, at = struct.unpack('>I8', m)
    local suffix = string.sub(m, at)
    local kept = redis.call('ZSCORE', base .. 'due:' .. dest, m) == all[i + 1] and redis.call('HGET', owedkey(n), owedfield(n, suffix))
    local o = kept and decoderecord(kept)
    if not o or o.leased == 0 then
      redis.call('ZREM', leases(of), all[i])
    elseif not words or words[o.due] then
      o.leased = 0
      redis.call('HSET', owedkey(n), owedfield(n, suffix), encoderecord(o))
      redis.call('ZADD', base .. 'due:' .. dest, 0, m)
      redis.call('ZREM', leases(of), all[i])
      touched[dest] = true
      freed = freed + 1
    end
  end
  touchall()
  return freed
end

-- Adds a destination to the set of names, once per call.
local known = {}
local function destination(dest)
  if not known[dest] then
    known[dest] = true
    redis.call('SADD', base .. 'dests', dest)
  end
end

-- Adds an entry to a destination's history. If the clock stepped back, its time follows the last one of the list.
local stamp = text(wall) .. '-'
local function enter(list, dest, entry)
  local k = base .. list .. ':' .. dest
  local id = redis.pcall('XADD', k, stamp .. '*', 'd', entry)
  destination(dest)
  if type(id) ~= 'table' then
    raise(list, dest, wall)
    return wall, tonumber(string.sub(id, #stamp + 1))
  end
  local info = redis.call('XINFO', 'STREAM', k)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      id = redis.call('XADD', k, text(tonumber(string.match(info[i + 1], '^%d+')) + 1) .. '-*', 'd', entry)
    end
  end
  local at, seq = string.match(id, '^(%d+)-(%d+)$')
  raise(list, dest, tonumber(at))
  return tonumber(at), tonumber(seq)
end

-- The beginning of a history entry: whether it is a repeat, the event, and the link to the entry before it.
local function before(o, n, again, dest)
  if o.list == '-' then return again .. struct.pack('>I6', n) .. '-' end
  local where = o.where == '' and o.dest or o.where
  if where == dest then where = '' end
  return again .. struct.pack('>I6', n) .. struct.pack('>c1I7I2s', o.list, o.at, o.seq, where)
end

-- Escapes a name for keys, as Go does.
local function escaped(name)
  return (string.gsub(name, '[%%:/{}%z]', function(c) return string.format('%%%02x', string.byte(c)) end))
end

-- Revisions. An entry is never changed: the fields of an event's newest revision are in revised:N, which is read only if the
-- shard has revisions.
local revisions
local function hasrevisions()
  revisions = revisions or tonumber(redis.call('HGET', meta, 'revised') or '0')
  return revisions > 0
end
local function newest(n, all)
  if not all or not hasrevisions() then return all end
  local newer = redis.call('HGETALL', base .. 'revised:' .. text(n))
  for i = 1, #newer, 2 do
    for k = 1, #all, 2 do
      if all[k] == newer[i] then all[k + 1] = newer[i + 1] end
    end
  end
  return all
end
-- The bytes of an event's revisions.
local function revisedbytes(n)
  return hasrevisions() and tonumber(redis.call('HGET', base .. 'revised:' .. text(n), 'bytes') or '0') or 0
end

-- An event's fields as of its newest revision, from the stream, its tenant's share or kept:N; nil: it was removed. Without a
-- tenant, the share is not read: a pending event is in the stream.
local function fields(n, tenant)
  local id = text(n) .. '-0'
  local found = redis.call('XRANGE', events, id, id)
  if found[1] then return newest(n, found[1][2]) end
  local kept = redis.call('HGETALL', base .. 'kept:' .. text(n))
  if kept[1] then return newest(n, kept) end
  found = tenant and redis.call('XRANGE', base .. 'share:' .. tenant, id, id)
  return found and found[1] and newest(n, found[1][2]) or nil
end
-- The bytes of an event: the fields of its entry and its revisions.
local function length(n, all)
  local sum = revisedbytes(n)
  for i = 1, #all do sum = sum + #all[i] end
  return sum
end
-- Removes an event's revisions and the sets that they are found by.
local function unrevise(n)
  if not hasrevisions() then return end
  local at = base .. 'revised:' .. text(n)
  local terms = redis.call('HGET', at, 'terms')
  if not terms then return end
  for _, key in ipairs(cjson.decode(terms)) do redis.call('ZREM', base .. key, text(n)) end
  redis.call('DEL', at)
  count('revised', -1)
end
-- Whether an event's content was erased.
local function iserased(n) return redis.call('HEXISTS', base .. 'kept:' .. text(n), 'erased') == 1 end
local function field(all, name)
  for i = 1, #all, 2 do
    if all[i] == name then return all[i + 1] end
  end
  return ''
end
local function size(all) return #field(all, 'event') + #field(all, 'raw') end

-- Whether append.lua added an entry of the stream: then its ID leads to it. Other programs may write into a stream.
local function isours(n, all)
  local ids, id = idplace(field(all, 'tenant'), field(all, 'id'))
  return redis.call('HGET', ids, id) == text(n)
end
local function countforeign()
  count('foreign', 1)
  redis.call('HSET', meta, 'foreignat', text(wall))
end

-- IDs of removed events that are still recognised. Each tenant has a list of them, oldest first: when the event was received,
-- the hash that has the ID, and its field. A call collects them and writes them at its end.
local function addrecalled(all, tenant, at, where, id)
  all[#all + 1] = { tenant, struct.pack('>I7s', at, where) .. id, at }
end
local function writerecalled(all, spread)
  if not all[1] then return end
  -- While the single list of a former version is split, they are added to its end, so that each tenant's are in order.
  local joins = not spread and redis.call('EXISTS', base .. 'ids') == 1
  local by, first = {}, {}
  for _, r in ipairs(all) do
    local tenant = joins and '' or r[1]
    local list = by[tenant]
    if not list then
      list = {}
      by[tenant], first[tenant] = list, r[3]
    end
    list[#list + 1] = r[2]
  end
  if joins then
    redis.call('RPUSH', base .. 'ids', unpack(by['']))
    return count('ids', #all)
  end
  for tenant, list in pairs(by) do
    redis.call('RPUSH', base .. 'ids:' .. tenant, unpack(list))
    redis.call('ZINCRBY', base .. 'idcount', #list, tenant)
    redis.call('ZADD', base .. 'idage', 'NX', text(first[tenant]), tenant)
  end
  count('recalled', #all)
end
local function forgetid(where, id) redis.call('HDEL', base .. where, id) end

-- Notes that a reference to an event ended, if retention has passed it: trim.lua checks whether others are left.
local function orphan(n)
  if n < tonumber(redis.call('HGET', meta, 'first') or '1') then redis.call('SADD', base .. 'orphans', text(n)) end
end

-- Releases a pending event after a number of claims that ended without a commit or a release. The next claim may take it, or it
-- is a suspect, which is claimed alone (state.InCompany). XCLAIM keeps its place among the pending events.
local function release(id, claims)
  redis.call('XCLAIM', events, group, claims >= 2 and 'suspect' or 'free', 0, id, 'RETRYCOUNT', claims, 'JUSTID')
end
local function isreleased(consumer) return consumer == 'free' or consumer == 'suspect' end
