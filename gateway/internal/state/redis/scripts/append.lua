#!lua
-- Appends events, each once by its ID. When memory is full, Redis refuses the script as a whole.
--   share    the tenant as a part of keys
--   terms    what the event is indexed by
--   better   IDs that the event has by a stronger proof, the strongest first
--   returns for each event its position. For a duplicate: '-' and the position of the first event, 0 if that was removed; if
--           that one has one of the better IDs, also '+' and the index of that ID
-- The number after the last entry, for when another program wrote into the stream or the counters are lost.
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
local results, fresh, bytes, tenants, slices = {}, 0, 0, {}, {}

-- Indexes are appended to once per call.
local grown = {}
local function grow(name, by)
  local parts = grown[name]
  if parts then parts[#parts + 1] = by else grown[name] = { by } end
end

-- An entry's fields are public. Their names and the first value are the same in all entries: 54 bytes.
local function add(call, n, id, tenant, eventtype, source, survey, response, time, received, event, raw)
  return call('XADD', events, n .. '-0', 'v', '1', 'id', id, 'tenant', tenant, 'type', eventtype, 'source', source,
    'survey', survey, 'response', response, 'time', time, 'received', received, 'event', event, 'raw', raw)
end

-- The number of the event that has an ID, for the answer to a duplicate: 0 if it was removed.
local function keptat(known)
  local kept = tonumber(known)
  if kept < first and redis.call('EXISTS', base .. 'kept:' .. known) == 0
    and redis.call('GETBIT', base .. 'aside:' .. text(math.floor(kept / 65536)), kept % 65536) == 0 then
    kept = 0
  end
  return text(kept)
end

-- Takes the better IDs. Returns the answer for a duplicate if an event has one of them, else nil.
local function better(nbetter)
  local answer
  for k = 1, nbetter do
    local idslot, idfield = take(2)
    local known = not answer and redis.call('HGET', base .. 'id:' .. idslot, idfield)
    if known then answer = '-' .. keptat(known) .. '+' .. k end
  end
  return answer
end

local buckets, tags = {}, {} -- of the terms of one event
local nevents = take(1)
for _ = 1, nevents do
  local idslot, idfield, share, id, tenant, eventtype, source, survey, response, time, received, event, raw, nterms = take(14)
  for k = 1, nterms do
    local bucket, tag = take(2)
    buckets[k], tags[k] = bucket, tag
  end
  local nbetter = take(1)
  local ids, n, duplicate = base .. 'id:' .. idslot, text(pos), better(nbetter)
  if duplicate then
    results[#results + 1] = duplicate
  elseif redis.call('HSETNX', ids, idfield, n) == 0 then
    results[#results + 1] = '-' .. keptat(redis.call('HGET', ids, idfield))
  else
    if type(add(redis.pcall, n, id, tenant, eventtype, source, survey, response, time, received, event, raw)) == 'table' then
      countforeign()
      pos = behind()
      n = text(pos)
      add(redis.call, n, id, tenant, eventtype, source, survey, response, time, received, event, raw)
      redis.call('HSET', ids, idfield, n)
    end
    local slice, offset = text(math.floor(pos / 65536)), struct.pack('>I2', pos % 65536)
    slices[slice] = true
    grow('line:' .. share .. ':' .. slice, offset)
    local index = 'index:' .. slice .. ':'
    for k = 1, nterms do grow(index .. buckets[k], tags[k] .. offset) end
    local size = 54 + #id + #tenant + #eventtype + #source + #survey + #response + #time + #received + #event + #raw
    bytes = bytes + size
    results[#results + 1] = n
    pos, fresh = pos + 1, fresh + 1
    tenants[share] = (tenants[share] or 0) + size
  end
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
  writecounters()
  redis.call('PUBLISH', base .. 'wake', '')
end
return results
