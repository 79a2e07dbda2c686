#!lua flags=allow-oom
-- Erases the content of a committed event, and ends its deliveries: all of it or nothing.
--
-- A stream keeps the bytes of a deleted entry until its node has no other entry. So all entries that may be in the same node are
-- taken out of the stream too; they and what is left of the event become loose. No entry can be that the group still needs.
--   share      the tenant as a part of keys
--   number     of the event, as it was read
--   wasoutcome, revision  its decision, and the newest revision, as they were read
--   outcome    its decision without words of a person
--   nodebytes, nodeentries  most bytes and entries of a node of a stream
--   terms      by which it is found
--   records    deliveries that have ended: suffix, the record as it was read, and as it shall be
--   moves      deliveries that end now, as move.lua reads them
--   returns 1 when it was done, 0 when the event was removed, -1 when something has changed since it was read, -2 when a delivery is
--         leased, -3 when entries beside it are pending, -4 while tenants are counted
local idslot, idfield, share, number, wasoutcome, revision, outcome, event, eventtype, survey, time = take(11)
local nodebytes, nodeentries, nterms = numbers(3)
local terms = {}
for k = 1, nterms do
  local bucket, tag = take(2)
  terms[k] = { bucket, tag }
end
local records = {}
local nrecords = take(1)
for k = 1, nrecords do
  local suffix, was, is = take(3)
  records[k] = { suffix, was, is }
end
local moves = {}
local nmoves = take(1)
for k = 1, nmoves do moves[k] = wanted() end

local n = tonumber(redis.call('HGET', base .. 'id:' .. idslot, idfield) or '0')
if n ~= tonumber(number) then return n == 0 and 0 or -1 end
if redis.call('HGET', meta, 'counting') then return -4 end
local name = text(n)
local id, kept, bucket = name .. '-0', base .. 'kept:' .. name, base .. 'outcome:' .. text(math.floor(n / 64))
if redis.call('HGET', bucket, n % 64) ~= wasoutcome or (redis.call('HGET', base .. 'revised:' .. name, 'revision') or '') ~= revision then
  return -1
end
for _, r in ipairs(records) do
  if redis.call('HGET', owedkey(n), owedfield(n, r[1])) ~= r[2] then return -1 end
end
for _, d in ipairs(moves) do
  if d.n ~= n then return -1 end
  local may = movable(d)
  if may ~= 1 then return may == 0 and -2 or -1 end
end

-- Where its content is.
local sharestream, shareloose = base .. 'share:' .. share, base .. 'looseshare:' .. share
local entry, all = redis.call('XRANGE', events, id, id)[1], redis.call('HGETALL', kept)
local aside = not entry and redis.call('XRANGE', sharestream, id, id)[1]
if entry or aside then all = (entry or aside)[2] end
if not all[1] then return 0 end

-- The entries of a stream that may be in the same node as the event.
local function beside(stream, isin)
  local found = {}
  local function add(some)
    local sum = isin and size(all) or 0
    for _, e in ipairs(some) do
      sum = sum + size(e[2])
      if sum >= nodebytes then break end
      found[#found + 1] = e
    end
  end
  if n > 1 then add(redis.call('XREVRANGE', stream, text(n - 1) .. '-0', '-', 'COUNT', nodeentries)) end
  add(redis.call('XRANGE', stream, text(n + 1) .. '-0', '+', 'COUNT', nodeentries))
  return found
end
local others = beside(events, entry)
local read
local groups = redis.pcall('XINFO', 'GROUPS', events)
for _, g in ipairs(groups.err and {} or groups) do
  local f = {}
  for i = 1, #g, 2 do f[g[i]] = g[i + 1] end
  if f.name == group then read = tonumber(string.match(f['last-delivered-id'], '^%d+')) end
end
local low, high = n, n
for _, e in ipairs(others) do
  local k = tonumber(string.match(e[1], '^%d+'))
  low, high = math.min(low, k), math.max(high, k)
end
if others[1] or entry then
  if not read or high > read then return -3 end
  if redis.call('XPENDING', events, group, text(low) .. '-0', text(high) .. '-0', 1)[1] then return -3 end
end

for _, e in ipairs(others) do
  local k = tonumber(string.match(e[1], '^%d+'))
  if isours(k, e[2]) then
    redis.call('HSET', base .. 'kept:' .. text(k), unpack(e[2]))
    redis.call('ZADD', base .. 'loose', text(k), text(k))
  else -- an entry of another program, which is in no counter
    redis.call('HDEL', base .. 'outcome:' .. text(math.floor(k / 64)), k % 64)
  end
  redis.call('XDEL', events, e[1])
end
for _, e in ipairs(redis.call('EXISTS', sharestream) == 1 and beside(sharestream, aside) or {}) do
  local k = string.match(e[1], '^%d+')
  redis.call('HSET', base .. 'kept:' .. k, unpack(e[2]))
  redis.call('ZADD', shareloose, k, k)
  redis.call('XDEL', sharestream, e[1])
end

-- What is left of it.
local left = { 'erased', '1' }
local new = { event = event, type = eventtype, survey = survey, time = time, response = '', raw = '' }
for i = 1, #all, 2 do
  if all[i] ~= 'erased' then
    left[#left + 1] = all[i]
    left[#left + 1] = new[all[i]] or all[i + 1]
  end
end
local grown = -length(n, all)
unrevise(n)
for _, v in ipairs(left) do grown = grown + #v end
redis.call('DEL', kept)
redis.call('HSET', kept, unpack(left))
if entry then
  redis.call('XDEL', events, id)
  redis.call('ZADD', base .. 'loose', name, name)
elseif aside then
  redis.call('XDEL', sharestream, id)
  redis.call('ZADD', shareloose, name, name)
end
if redis.call('ZSCORE', base .. 'kept', name) then
  count('keptbytes', grown)
else
  if redis.call('ZSCORE', base .. 'loose', name) then
    count('bytes', grown)
  else
    redis.call('HINCRBY', base .. 'sharebytes', share, text(grown))
    count('sharebytes', grown)
  end
  redis.call('ZINCRBY', base .. 'used', text(grown), share)
  count('used', grown)
end

-- Entries of the index are overwritten, because others are found by their places.
local slice, offset = text(math.floor(n / 65536)), struct.pack('>I2', n % 65536)
for _, t in ipairs(terms) do
  local index = base .. 'index:' .. slice .. ':' .. t[1]
  local entries, at = redis.call('GET', index) or '', 1
  while true do
    at = string.find(entries, t[2] .. offset, at, true)
    if not at then break end
    if (at - 1) % (#t[2] + 2) == 0 then redis.call('SETRANGE', index, at - 1, string.rep('\0', #t[2])) end
    at = at + 1
  end
end

for _, r in ipairs(records) do redis.call('HSET', owedkey(n), owedfield(n, r[1]), r[3]) end
redis.call('HSET', bucket, n % 64, outcome)
redis.call('ZREM', base .. 'gone:' .. share, name)
for _, d in ipairs(moves) do move(d) end
orphan(n)
touchall()
writecounters()
return 1
