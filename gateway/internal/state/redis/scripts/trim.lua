#!lua flags=allow-oom
-- Removes the oldest events from the stream, except pending ones and those not yet delivered to the group, which Redis would
-- lose silently. An event that something refers to is kept by itself until its last reference ends. While the bytes exceed the
-- bound, events of tenants above their level are removed, and those of others are moved to their tenant's share.
--   rest    the level of tenants that have none in levels; empty: none is above it; '-': all are
--   levels  tenants and their levels
--   returns events, kept, ids forgotten, whether more is to be done, how many were moved to shares, bytes freed
local rest, nlevels = take(2)
local levels = {}
for _ = 1, nlevels do
  local tenant, level = take(2)
  levels[tenant] = tonumber(level)
end
rest = tonumber(rest) or (rest == '-' and -math.huge or math.huge)

-- First the kept events whose last reference ended.
local orphans = redis.call('SPOP', base .. 'orphans', most)
for _, name in ipairs(orphans) do
  local n, at = tonumber(name), base .. 'kept:' .. name
  local all = redis.call('HGETALL', at)
  if all[1] and redis.call('ZSCORE', base .. 'kept', name) then
    local tenant = escaped(field(all, 'tenant'))
    local open, mine = references(n, tenant)
    if not open then
      count('keptbytes', -length(n, all))
      forget(n, tenant, all, mine)
      redis.call('DEL', at)
      redis.call('ZREM', base .. 'kept', name)
      count('kept', -1)
    end
  end
end

local low = 0
local groups = redis.pcall('XINFO', 'GROUPS', events)
if not groups.err then
  for _, g in ipairs(groups) do
    local f = {}
    for i = 1, #g, 2 do f[g[i]] = g[i + 1] end
    if f.name == group then
      low = tonumber(string.match(f['last-delivered-id'], '^%d+')) + 1
      local pending = redis.call('XPENDING', events, group)
      if pending[1] > 0 then low = math.min(low, tonumber(string.match(pending[2], '^%d+'))) end
    end
  end
end

-- Moves an event to its tenant's share, a stream of the same entries. False if that already has later ones. A loose one stays so.
local function putAside(n, tenant, all, size, isloose)
  if isloose then
    redis.call('ZREM', base .. 'loose', text(n))
    redis.call('ZADD', base .. 'looseshare:' .. tenant, text(n), text(n))
  elseif type(redis.pcall('XADD', base .. 'share:' .. tenant, text(n) .. '-0', unpack(all))) == 'table' then
    return false
  end
  redis.call('ZADD', base .. 'shares', 'NX', text(received(all)), tenant)
  redis.call('SETBIT', base .. 'aside:' .. text(math.floor(n / 65536)), n % 65536, 1)
  shared[tenant] = (shared[tenant] or 0) + size
  count('share', 1)
  count('sharebytes', size)
  if not isloose and not summed(n) then spend(tenant, -size) end
  moved = moved + 1
  return true
end

local more, first = #orphans == most, nil
if low > 1 and (age > 0 or bound > 0) then
  local some, full = oldest(events, base .. 'loose', low - 1)
  local removed = 0
  for _, entry in ipairs(some) do
    local n, all, isloose = unpack(entry)
    local ends = old(received(all))
    if not ends and not over() then break end
    if isours(n, all) then
      local tenant, size = escaped(field(all, 'tenant')), length(n, all)
      count('events', -1)
      count('bytes', -size)
      if ends or usage(tenant) > (levels[tenant] or rest) or not putAside(n, tenant, all, size, isloose) then
        total, freed = total - size, freed + size
        if isloose or summed(n) then spend(tenant, size) end
        if isloose then unloose(base .. 'loose', n) end
        leave(n, tenant, all)
      end
    else
      -- An entry of another program is in no counter, and its ID may be that of an event.
      redis.call('HDEL', base .. 'outcome:' .. text(math.floor(n / 64)), n % 64)
      done = done + 1
    end
    first, removed = n + 1, removed + 1
  end
  if first then
    redis.call('XTRIM', events, 'MINID', text(first) .. '-0')
    redis.call('HSET', meta, 'first', text(first))
  end
  more = more or full and removed == #some
end

-- A slice of the indexes is removed when none of its events is kept. Each call checks some of the others, and continues in the
-- next one after a number of keys, as each tenant has one in a slice.
local last = math.floor((first or tonumber(redis.call('HGET', meta, 'first') or '1')) / 65536)
local from = redis.call('HGET', meta, 'slicesfrom') or '-inf'
local past = redis.call('ZRANGEBYSCORE', base .. 'slices', from, '(' .. text(last), 'LIMIT', 0, 64)
local tenants, keys, resume
for _, slice in ipairs(past) do
  if keys and keys > 2048 then
    resume = slice
    break
  end
  if redis.call('ZCOUNT', base .. 'kept', slice * 65536, slice * 65536 + 65535) == 0
    and redis.call('BITCOUNT', base .. 'aside:' .. slice) == 0 then
    tenants = tenants or redis.call('SMEMBERS', base .. 'tenants')
    local names = { base .. 'aside:' .. slice }
    for bucket = 0, 31 do names[#names + 1] = base .. 'index:' .. slice .. ':' .. bucket end
    for _, tenant in ipairs(tenants) do names[#names + 1] = base .. 'line:' .. tenant .. ':' .. slice end
    for i = 1, #names, 1000 do redis.call('DEL', unpack(names, i, math.min(i + 999, #names))) end
    redis.call('ZREM', base .. 'slices', slice)
    keys = (keys or 0) + #names
    more = more or #past == 64
  end
end
if resume then
  redis.call('HSET', meta, 'slicesfrom', resume)
  more = true
elseif #past == 64 then
  redis.call('HSET', meta, 'slicesfrom', '(' .. past[64])
elseif from ~= '-inf' then
  redis.call('HDEL', meta, 'slicesfrom')
end
writesums()
return { done, kept, forgotten, more and 1 or 0, moved, freed }
