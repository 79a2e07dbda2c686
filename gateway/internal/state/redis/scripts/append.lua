#!lua
-- Appends events, each once by its id. It is refused by Redis as a whole when memory is full.
--   ARGV  time, then for each event: slot, field (of its id), tenant (as a part of keys), id, tenant, type, source,
--         survey, response, time, received, event, raw, number of index terms, the terms (bucket, tag),
--         number of better ids, those (slot, field), strongest first
--   returns for each event its position, or 0 minus the position of the first; -0 as '-0': that one is gone. Where the
--   first has one of the better ids, + and which of them follow
-- The number behind the last entry: what anybody else wrote into the stream, or what it has where the counters are gone.
local function behind()
  if redis.call('EXISTS', events) == 0 then return 1 end
  local info = redis.call('XINFO', 'STREAM', events)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return tonumber(string.match(info[i + 1], '^%d+')) + 1 end
  end
end
local start = redis.call('HMGET', meta, 'next', 'first')
local pos, first = tonumber(start[1]), tonumber(start[2] or '1')
if not pos then pos = behind() end
local results, i, fresh, bytes, tenants, slices = {}, 2, 0, 0, {}, {}

-- Indexes grow once per call.
local grown = {}
local function grow(name, by)
  local parts = grown[name]
  if parts then parts[#parts + 1] = by else grown[name] = { by } end
end

-- An entry's fields are public: their names and the first value are the same in all, and 54 bytes together.
local function add(call, n, i)
  return call('XADD', events, n .. '-0', 'v', '1', 'id', ARGV[i], 'tenant', ARGV[i + 1], 'type', ARGV[i + 2],
    'source', ARGV[i + 3], 'survey', ARGV[i + 4], 'response', ARGV[i + 5], 'time', ARGV[i + 6],
    'received', ARGV[i + 7], 'event', ARGV[i + 8], 'raw', ARGV[i + 9])
end

-- The number of the event that an id is of, as a duplicate's answer has it: 0 where it is gone.
local function keptat(known)
  local kept = tonumber(known)
  if kept < first and redis.call('EXISTS', base .. 'kept:' .. known) == 0
    and redis.call('GETBIT', base .. 'aside:' .. text(math.floor(kept / 65536)), kept % 65536) == 0 then
    kept = 0
  end
  return text(kept)
end

-- Which of the better ids that stand at an argument is known: the answer of a duplicate, or nil.
local function better(at)
  for k = 1, tonumber(ARGV[at]) do
    local known = redis.call('HGET', base .. 'id:' .. ARGV[at + 2 * k - 1], ARGV[at + 2 * k])
    if known then return '-' .. keptat(known) .. '+' .. k end
  end
end

local most = #ARGV
while i <= most do
  local ids, field, tenant, terms = base .. 'id:' .. ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 13])
  local n, at = text(pos), i + 3
  i = i + 14
  local of = better(i + 2 * terms)
  if of then
    results[#results + 1] = of
  elseif redis.call('HSETNX', ids, field, n) == 0 then
    results[#results + 1] = '-' .. keptat(redis.call('HGET', ids, field))
  else
    if type(add(redis.pcall, n, at)) == 'table' then
      foreign()
      pos = behind()
      n = text(pos)
      add(redis.call, n, at)
      redis.call('HSET', ids, field, n)
    end
    local slice, offset = text(math.floor(pos / 65536)), struct.pack('>I2', pos % 65536)
    slices[slice] = true
    grow('line:' .. tenant .. ':' .. slice, offset)
    local index = 'index:' .. slice .. ':'
    for t = i, i + 2 * terms - 1, 2 do
      grow(index .. ARGV[t], ARGV[t + 1] .. offset)
    end
    local size = 54
    for f = at, at + 9 do size = size + #ARGV[f] end
    bytes = bytes + size
    results[#results + 1] = n
    pos, fresh = pos + 1, fresh + 1
    tenants[tenant] = (tenants[tenant] or 0) + size
  end
  i = i + 2 * terms
  i = i + 1 + 2 * tonumber(ARGV[i])
end
if fresh > 0 then
  for name, parts in pairs(grown) do redis.call('APPEND', base .. name, table.concat(parts)) end
  for tenant, size in pairs(tenants) do
    redis.call('SADD', base .. 'tenants', tenant)
    redis.call('ZINCRBY', base .. 'used', text(size), tenant)
  end
  for slice in pairs(slices) do redis.call('ZADD', base .. 'slices', slice, slice) end
  redis.call('HSET', meta, 'next', text(pos))
  count('events', fresh)
  count('bytes', bytes)
  count('used', bytes)
  count('pending', fresh)
  counted()
  redis.call('PUBLISH', base .. 'wake', '')
end
return results
