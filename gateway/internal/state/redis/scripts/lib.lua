-- What every script begins with. KEYS[1] is the shard's prefix with its hash tag; every key that a script touches is
-- that prefix and a name, so that a script never leaves its shard. ARGV[1] is the time in microseconds, or empty:
-- then it is Redis' own, so that all replicas share one clock.
local base = KEYS[1]
local events, meta, group = base .. 'events', base .. 'meta', 'gateway'

-- Arguments are read in order, each once: take(n) returns the next n as text, numbers(n) as numbers. Their names are those
-- of the fields of the script's struct in Go, a list's length is called n and its name (TestScriptArguments compares them).
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

-- Clocks step. `wall` is what the clock shows: what is stamped with it, and ages of what was stamped. `now` is what due
-- times, leases, holds and signs of life are judged by. It never goes back: it is `ahead` of a clock that stepped back,
-- and goes on from the latest time that was seen. What was seen is written down every second (tick), so a time far behind
-- it is a step, which is believed only then.
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

-- The time that signs of life are given at: Redis' own, also where the caller gives another.
local function signtime()
  if ARGV[1] == '' then return now end
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end

-- Counters change once per call, however many events it carries.
local deltas = {}
local function count(name, by) deltas[name] = (deltas[name] or 0) + by end
local function counted()
  for name, by in pairs(deltas) do
    if by ~= 0 then redis.call('HINCRBY', meta, name, text(by)) end
  end
end

-- Where an event's id is kept: small hashes, which Redis packs. Go computes the same.
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

-- An owed delivery: what scripts must read is a header, everything else is the caller's and follows it.
--   state: W waiting, X dead, D delivered, S skipped, P dropped
--   link: the newest entry of its history: list (h, f or -), time, sequence, destination (empty: its own)
local layout = '>c1BI4I7I7I7I7c1I7I2sss'
local function unowed(v)
  local o, tail = {}, nil
  o.state, o.leased, o.size, o.created, o.updated, o.due, o.failed, o.list, o.at, o.seq, o.where, o.dest, o.reason, tail =
    struct.unpack(layout, v)
  o.tail = string.sub(v, tail)
  return o
end
local function owed(o)
  return struct.pack(layout, o.state, o.leased, o.size, o.created, o.updated, o.due, o.failed, o.list, o.at, o.seq,
    o.where, o.dest, o.reason) .. o.tail
end

-- The bytes of a destination's dead letters are counted from its first on. Where a former version listed some, they are
-- estimated once it matters (weigh.lua).
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

-- What a holder has leased is listed until it is settled: leases follow their holder's signs of life. An entry is the
-- destination, NUL and the member, by the end of the lease; it counts while that is the delivery's due time. `holder` is
-- the caller, in scripts that it leases or settles with.
local holder
local function leases(of) return base .. 'leased:' .. of end

local touched = {}
local function listed(o, n, suffix, score)
  local m = member(n, suffix)
  if o.state == 'W' then
    redis.call('ZADD', base .. 'due:' .. o.dest, text(score), m)
    if o.leased == 1 and holder then redis.call('ZADD', leases(holder), text(score), o.dest .. '\0' .. m) end
    redis.call('ZADD', base .. 'wait:' .. o.dest, text(o.created), m)
    redis.call('HINCRBY', base .. 'waitbytes', o.dest, o.size)
    count('waiting', 1)
    touched[o.dest] = true
  elseif o.state == 'X' then
    redis.call('ZADD', base .. 'dead:' .. o.dest, text(o.updated), m)
    deadbytes(o.dest, o.size)
    count('dead', 1)
    count('deadbytes', o.size)
  end
end
local function unlisted(o, n, suffix)
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

-- Where a destination stands in the queue of destinations: at the latest of its earliest due, the end of its hold and
-- the time it was served last. One on hold without an end is not in the queue.
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
local function settled()
  for dest in pairs(touched) do touch(dest) end
end

-- Makes due what a holder has leased and nobody settles: all of it, or what was leased with one of some due times. What
-- stood there may still settle it while nobody else has it.
local function unlease(of, words)
  local freed = 0
  local all = redis.call('ZRANGE', leases(of), 0, -1, 'WITHSCORES')
  for i = 1, #all, 2 do
    local cut = string.find(all[i], '%z')
    local dest, m = string.sub(all[i], 1, cut - 1), string.sub(all[i], cut + 1)
    local n, at = struct.unpack('>I8', m)
    local suffix = string.sub(m, at)
    local kept = redis.call('ZSCORE', base .. 'due:' .. dest, m) == all[i + 1] and redis.call('HGET', owedkey(n), owedfield(n, suffix))
    local o = kept and unowed(kept)
    if not o or o.leased == 0 then
      redis.call('ZREM', leases(of), all[i])
    elseif not words or words[o.due] then
      o.leased = 0
      redis.call('HSET', owedkey(n), owedfield(n, suffix), owed(o))
      redis.call('ZADD', base .. 'due:' .. dest, 0, m)
      redis.call('ZREM', leases(of), all[i])
      touched[dest] = true
      freed = freed + 1
    end
  end
  settled()
  return freed
end

-- The names of destinations are kept once per call.
local known = {}
local function destination(dest)
  if not known[dest] then
    known[dest] = true
    redis.call('SADD', base .. 'dests', dest)
  end
end

-- Adds an entry to a destination's history. Where the clock stepped back, the list's last time goes on.
local stamp = text(wall) .. '-'
local function enter(list, dest, entry)
  local k = base .. list .. ':' .. dest
  local id = redis.pcall('XADD', k, stamp .. '*', 'd', entry)
  destination(dest)
  if type(id) ~= 'table' then return wall, tonumber(string.sub(id, #stamp + 1)) end
  local info = redis.call('XINFO', 'STREAM', k)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      id = redis.call('XADD', k, text(tonumber(string.match(info[i + 1], '^%d+')) + 1) .. '-*', 'd', entry)
    end
  end
  local at, seq = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(at), tonumber(seq)
end

-- An entry of history begins with whether it is a repeat, its event and what was before it.
local function before(o, n, again, dest)
  if o.list == '-' then return again .. struct.pack('>I6', n) .. '-' end
  local where = o.where == '' and o.dest or o.where
  if where == dest then where = '' end
  return again .. struct.pack('>I6', n) .. struct.pack('>c1I7I2s', o.list, o.at, o.seq, where)
end

-- Names as parts of keys; Go writes the same.
local function escaped(name)
  return (string.gsub(name, '[%%:/{}%z]', function(c) return string.format('%%%02x', string.byte(c)) end))
end

-- Revisions. An entry is never changed: what the newest revision of an event says stands beside it, in revised:N. They are
-- looked for only where there are any.
local revisions
local function mayberevised()
  revisions = revisions or tonumber(redis.call('HGET', meta, 'revised') or '0')
  return revisions > 0
end
local function newest(n, all)
  if not all or not mayberevised() then return all end
  local newer = redis.call('HGETALL', base .. 'revised:' .. text(n))
  for i = 1, #newer, 2 do
    for k = 1, #all, 2 do
      if all[k] == newer[i] then all[k + 1] = newer[i + 1] end
    end
  end
  return all
end
-- The bytes that an event's revisions take, beside its entry.
local function revisedbytes(n)
  return mayberevised() and tonumber(redis.call('HGET', base .. 'revised:' .. text(n), 'bytes') or '0') or 0
end

-- An event's fields, wherever it is kept: in the stream, in its tenant's share or by itself, as its newest revision has
-- them; nil: it is gone. Without a tenant, those of one that is pending: it is in the stream.
local function fields(n, tenant)
  local id = text(n) .. '-0'
  local found = redis.call('XRANGE', events, id, id)
  if found[1] then return newest(n, found[1][2]) end
  local kept = redis.call('HGETALL', base .. 'kept:' .. text(n))
  if kept[1] then return newest(n, kept) end
  found = tenant and redis.call('XRANGE', base .. 'share:' .. tenant, id, id)
  return found and found[1] and newest(n, found[1][2]) or nil
end
local function field(all, name)
  for i = 1, #all, 2 do
    if all[i] == name then return all[i + 1] end
  end
  return ''
end
local function size(all) return #field(all, 'event') + #field(all, 'raw') end

-- Whether an entry of the stream was appended by the append script: its id leads to it. Anybody may write into a stream.
local function ours(n, all)
  local ids, id = idplace(field(all, 'tenant'), field(all, 'id'))
  return redis.call('HGET', ids, id) == text(n)
end
local function foreign()
  count('foreign', 1)
  redis.call('HSET', meta, 'foreignat', text(wall))
end

-- Ids of events that are gone, as long as they are recognised: each tenant has a list, oldest first, of when it was
-- received, the hash that recognises it, and its field there. They are gathered in a call, and put on the lists at its end.
local function recall(all, tenant, at, where, id)
  all[#all + 1] = { tenant, struct.pack('>I7s', at, where) .. id, at }
end
local function recalls(all, spread)
  if not all[1] then return end
  -- While the one list of a former version is taken apart, they join its end: so each tenant's stay in order.
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
local function unrecognise(where, id) redis.call('HDEL', base .. where, id) end

-- Whether an event that retention passed is still referred to is asked when a reference ends.
local function orphan(n)
  if n < tonumber(redis.call('HGET', meta, 'first') or '1') then redis.call('SADD', base .. 'orphans', text(n)) end
end

-- Lets go of a pending event, of which so many claims ended without a commit or a release: anybody may claim it, or it is
-- a suspect, which is claimed alone (state.InCompany). XCLAIM keeps its place among what is pending.
local function letgo(id, claims)
  redis.call('XCLAIM', events, group, claims >= 2 and 'suspect' or 'free', 0, id, 'RETRYCOUNT', claims, 'JUSTID')
end
local function letgone(consumer) return consumer == 'free' or consumer == 'suspect' end
