-- Shared by the scripts that remove events (trim, trimshares); inserted after lib.lua.
--   age, idage  of events and of ids, in microseconds; 0: no bound
--   bound       bytes of events in this shard; 0: no bound
--   most        events
local age, bound, idage, most = numbers(4)
local done, kept, forgotten, moved, freed = 0, 0, 0, 0, 0
local state = redis.call('HMGET', meta, 'bytes', 'sharebytes', 'counting', 'countto')
local total = tonumber(state[1] or '0') + tonumber(state[2] or '0')
local function over() return bound > 0 and total > bound end

local function received(all) return (tonumber(field(all, 'received')) or 0) * 1000 end
local function old(at) return age > 0 and at < wall - age end

-- What tenants have is written once per call. While count.lua counts it, events that it has not reached are in no sum.
local used, spent, shared, recalled = {}, {}, {}, {}
local counting, countto = tonumber(state[3] or '0'), tonumber(state[4] or '0')
local function summed(n) return not state[3] or n < counting or n >= countto end
local function usage(tenant)
  if not used[tenant] then used[tenant] = tonumber(redis.call('ZSCORE', base .. 'used', tenant) or '0') end
  return used[tenant]
end
local function spend(tenant, by)
  used[tenant] = usage(tenant) - by
  spent[tenant] = (spent[tenant] or 0) + by
  count('used', -by)
end

-- Whether a waiting delivery or a dead letter refers to an event, and the fields of its deliveries' records.
local function references(n, tenant)
  local all, mine, open = redis.call('HGETALL', owedkey(n)), {}, false
  for i = 1, #all, 2 do
    if string.byte(all[i]) == n % 16 then
      mine[#mine + 1] = all[i]
      local how = string.sub(all[i + 1], 1, 1)
      open = open or how == 'W' or how == 'X'
    end
  end
  return open or redis.call('ZSCORE', base .. 'gone:' .. tenant, text(n)), mine
end

-- Removes everything of an event but its ID, which is recognised for the dedupe window.
local function forget(n, tenant, all, mine)
  if #mine > 0 then redis.call('HDEL', owedkey(n), unpack(mine)) end
  redis.call('HDEL', base .. 'outcome:' .. text(math.floor(n / 64)), n % 64)
  unrevise(n)
  local ids, id = idplace(field(all, 'tenant'), field(all, 'id'))
  local where = string.sub(ids, #base + 1)
  if idage > 0 and received(all) < wall - idage then
    forgetid(where, id)
    forgotten = forgotten + 1
  else
    addrecalled(recalled, tenant, received(all), where, id)
  end
  done = done + 1
end

-- Keeps an event by itself that something refers to, until its last reference ends.
local function keep(n, all)
  redis.call('HSET', base .. 'kept:' .. text(n), unpack(all))
  redis.call('ZADD', base .. 'kept', text(n), text(n))
  count('kept', 1)
  count('keptbytes', length(n, all))
  kept = kept + 1
end

-- Keeps or forgets an event that was removed from the stream or its tenant's share.
local function leave(n, tenant, all)
  local open, mine = references(n, tenant)
  if open then keep(n, all) else forget(n, tenant, all, mine) end
end

-- The oldest events of a stream, up to a number and so many, and the loose ones among them, in order: number, fields, whether it is loose. Also
-- whether there may be more.
local function oldest(stream, loose, upto, atmost)
  local most = atmost or most
  local found = redis.call('XRANGE', stream, '-', upto and text(upto) .. '-0' or '+', 'COUNT', most)
  local names = redis.call('ZRANGEBYSCORE', loose, '-inf', upto and text(upto) or '+inf', 'LIMIT', 0, most)
  local all, full = {}, #found == most or #names == most
  local to = math.huge
  if #found == most then to = tonumber(string.match(found[most][1], '^%d+')) end
  if #names == most then to = math.min(to, tonumber(names[most])) end
  for _, entry in ipairs(found) do
    local n = tonumber(string.match(entry[1], '^%d+'))
    if n <= to then all[#all + 1] = { n, entry[2], false } end
  end
  for _, name in ipairs(names) do
    local n = tonumber(name)
    if n <= to then all[#all + 1] = { n, redis.call('HGETALL', base .. 'kept:' .. name), true } end
  end
  if names[1] then table.sort(all, function(a, b) return a[1] < b[1] end) end
  return all, full
end
-- Takes an event out of the loose ones.
local function unloose(loose, n)
  redis.call('ZREM', loose, text(n))
  redis.call('DEL', base .. 'kept:' .. text(n))
end

local function writesums()
  for tenant, by in pairs(spent) do
    if tonumber(redis.call('ZINCRBY', base .. 'used', text(-by), tenant)) == 0 then redis.call('ZREM', base .. 'used', tenant) end
  end
  for tenant, by in pairs(shared) do
    if redis.call('HINCRBY', base .. 'sharebytes', tenant, text(by)) == 0 then redis.call('HDEL', base .. 'sharebytes', tenant) end
  end
  writerecalled(recalled)
  writecounters()
end
