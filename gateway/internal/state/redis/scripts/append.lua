#!lua
-- Appends events, each once by its id. It is refused by Redis as a whole when memory is full.
--   ARGV  time, then for each event: slot, field (of its id), tenant, number of index terms,
--         the terms (bucket, tag), number of fields, the entry's fields and values
--   returns for each event its position, or 0 minus the position of the first; -0 as '-0': that one is gone
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

while i <= #ARGV do
  local ids, field, tenant, terms = base .. 'id:' .. ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
  i = i + 4
  local at = i + 2 * terms
  local last = at + tonumber(ARGV[at])
  local n = text(pos)
  if redis.call('HSETNX', ids, field, n) == 0 then
    local known = redis.call('HGET', ids, field)
    local kept = tonumber(known)
    if kept < first and redis.call('EXISTS', base .. 'kept:' .. known) == 0 then kept = 0 end
    results[#results + 1] = '-' .. text(kept)
  else
    local added = redis.pcall('XADD', events, n .. '-0', unpack(ARGV, at + 1, last))
    if type(added) == 'table' then
      foreign()
      pos = behind()
      n = text(pos)
      redis.call('XADD', events, n .. '-0', unpack(ARGV, at + 1, last))
      redis.call('HSET', ids, field, n)
    end
    local slice, offset = text(math.floor(pos / 65536)), struct.pack('>I2', pos % 65536)
    slices[slice] = true
    grow('line:' .. tenant .. ':' .. slice, offset)
    for t = i, at - 1, 2 do
      grow('index:' .. slice .. ':' .. ARGV[t], ARGV[t + 1] .. offset)
    end
    for f = at + 1, last do bytes = bytes + #ARGV[f] end
    results[#results + 1] = n
    pos, fresh = pos + 1, fresh + 1
    tenants[tenant] = true
  end
  i = last + 1
end
if fresh > 0 then
  for name, parts in pairs(grown) do redis.call('APPEND', base .. name, table.concat(parts)) end
  for tenant in pairs(tenants) do redis.call('SADD', base .. 'tenants', tenant) end
  for slice in pairs(slices) do redis.call('ZADD', base .. 'slices', slice, slice) end
  redis.call('HSET', meta, 'next', text(pos))
  count('events', fresh)
  count('bytes', bytes)
  count('pending', fresh)
  counted()
  redis.call('PUBLISH', base .. 'wake', '')
end
return results
