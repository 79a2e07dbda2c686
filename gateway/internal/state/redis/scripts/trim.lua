#!lua flags=allow-oom
-- Takes the oldest events out, never one that is pending or was not delivered to the group: Redis would lose it
-- silently. What something refers to is kept aside, and leaves with its last reference.
--   ARGV  time, age of events, bytes of events, age of ids (microseconds; 0: no bound), most events
--   returns events, kept, ids forgotten, whether more is to be done
local age, bound, idage, most = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local done, kept, forgotten = 0, 0, 0
local bytes = tonumber(redis.call('HGET', meta, 'bytes') or '0')

local function length(all)
  local n = 0
  for i = 1, #all do n = n + #all[i] end
  return n
end

local function received(all) return (tonumber(field(all, 'received')) or 0) * 1000 end

-- What is owed of an event: whether something open refers to it, and the fields to remove.
local function references(n, tenant)
  local all, mine, open = redis.call('HGETALL', owedkey(n)), {}, false
  for i = 1, #all, 2 do
    if string.byte(all[i]) == n % 16 then
      mine[#mine + 1] = all[i]
      local state = string.sub(all[i + 1], 1, 1)
      open = open or state == 'W' or state == 'X'
    end
  end
  return open or redis.call('ZSCORE', base .. 'gone:' .. tenant, text(n)), mine
end

local function forget(n, all, mine)
  local tenant = field(all, 'tenant')
  if #mine > 0 then redis.call('HDEL', owedkey(n), unpack(mine)) end
  redis.call('HDEL', base .. 'outcome:' .. text(math.floor(n / 64)), n % 64)
  local ids, id = idplace(tenant, field(all, 'id'))
  if idage > 0 and received(all) < now - idage then
    redis.call('HDEL', ids, id)
    forgotten = forgotten + 1
  else
    redis.call('RPUSH', base .. 'ids', struct.pack('>I7s', received(all), string.sub(ids, #base + 1)) .. id)
    count('ids', 1)
  end
  done = done + 1
end

-- First the events whose last reference left.
local orphans = redis.call('SPOP', base .. 'orphans', most)
for _, name in ipairs(orphans) do
  local n, at = tonumber(name), base .. 'kept:' .. name
  local all = redis.call('HGETALL', at)
  if all[1] then
    local open, mine = references(n, field(all, 'tenant'))
    if not open then
      forget(n, all, mine)
      redis.call('DEL', at)
      redis.call('ZREM', base .. 'kept', name)
      count('kept', -1)
      count('keptbytes', -length(all))
    end
  end
end

local low = 0
local state = redis.pcall('XINFO', 'GROUPS', events)
if not state.err then
  for _, g in ipairs(state) do
    local f = {}
    for i = 1, #g, 2 do f[g[i]] = g[i + 1] end
    if f.name == group then
      low = tonumber(string.match(f['last-delivered-id'], '^%d+')) + 1
      local pending = redis.call('XPENDING', events, group)
      if pending[1] > 0 then low = math.min(low, tonumber(string.match(pending[2], '^%d+'))) end
    end
  end
end
local more, first = #orphans == most, nil
local function over(at) return bound > 0 and bytes > bound or age > 0 and at < now - age end
if low > 1 and (age > 0 or bound > 0) then
  local oldest = redis.call('XRANGE', events, '-', text(low - 1) .. '-0', 'COUNT', most)
  local removed = 0
  for _, entry in ipairs(oldest) do
    local all = entry[2]
    if not over(received(all)) then break end
    local n = tonumber(string.match(entry[1], '^%d+'))
    local own, open, mine = ours(n, all), false, {}
    if own then
      bytes = bytes - length(all)
      count('events', -1)
      count('bytes', -length(all))
      open, mine = references(n, field(all, 'tenant'))
    end
    if not own then
      -- Nothing was counted of what somebody else wrote, and its id may be that of an event.
      redis.call('HDEL', base .. 'outcome:' .. text(math.floor(n / 64)), n % 64)
      done = done + 1
    elseif open then
      redis.call('HSET', base .. 'kept:' .. text(n), unpack(all))
      redis.call('ZADD', base .. 'kept', text(n), text(n))
      count('kept', 1)
      count('keptbytes', length(all))
      kept = kept + 1
    else
      forget(n, all, mine)
    end
    first, removed = n + 1, removed + 1
  end
  if first then
    redis.call('XTRIM', events, 'MINID', text(first) .. '-0')
    redis.call('HSET', meta, 'first', text(first))
  end
  more = more or removed == most
end

-- Indexes leave by the slice, when nothing in it is kept.
local last = math.floor((first or tonumber(redis.call('HGET', meta, 'first') or '1')) / 65536)
local old = redis.call('ZRANGEBYSCORE', base .. 'slices', '-inf', '(' .. text(last), 'LIMIT', 0, 64)
for _, slice in ipairs(old) do
  if redis.call('ZCOUNT', base .. 'kept', slice * 65536, slice * 65536 + 65535) == 0 then
    for _, tenant in ipairs(redis.call('SMEMBERS', base .. 'tenants')) do
      redis.call('DEL', base .. 'line:' .. tenant .. ':' .. slice)
    end
    for bucket = 0, 31 do redis.call('DEL', base .. 'index:' .. slice .. ':' .. bucket) end
    redis.call('ZREM', base .. 'slices', slice)
    more = more or #old == 64
  end
end
counted()
return { done, kept, forgotten, more and 1 or 0 }
