#!lua
-- Makes the next revision of a committed event its newest, with the deliveries that it creates and ends: all of it or nothing.
-- When memory is full, Redis refuses the script as a whole.
--   share   the tenant as a part of keys
--   former  the revision that must be the newest now
--   keys    where it is found by its terms, without the prefix
--   moves   deliveries, as move.lua reads them
--   returns 1 when it was done, 0 when the event was removed, -1 when it is not committed, another revision is the newest, or a
--         delivery changed or is leased
local idslot, idfield, share, former, event, eventtype, survey, response, time, revision, newest, formers, nkeys = take(13)
local keys = {}
for k = 1, nkeys do
  local key = take(1)
  keys[k] = key
end
local moves = {}
local nmoves = take(1)
for k = 1, nmoves do moves[k] = wanted() end

local n = tonumber(redis.call('HGET', base .. 'id:' .. idslot, idfield) or '0')
local place = base .. 'revised:' .. text(n)
local all = n > 0 and fields(n, share)
if not all or iserased(n) then return 0 end
if redis.call('HEXISTS', base .. 'outcome:' .. text(math.floor(n / 64)), n % 64) == 0 then return -1 end
local was = redis.call('HMGET', place, 'revision', 'bytes', 'terms')
if (was[1] or '0') ~= former then return -1 end
for _, d in ipairs(moves) do
  if d.n ~= n or movable(d) ~= 1 then return -1 end
end

local values = { 'event', event, 'type', eventtype, 'survey', survey, 'response', response, 'time', time,
  'revision', revision, 'newest', newest, 'former', formers }
local bytes = 0
for _, v in ipairs(values) do bytes = bytes + #v end

if was[3] then
  for _, key in ipairs(cjson.decode(was[3])) do redis.call('ZREM', base .. key, text(n)) end
else
  count('revised', 1)
end
for _, key in ipairs(keys) do redis.call('ZADD', base .. key, n, text(n)) end
-- cjson would encode an empty list as an object.
local terms = #keys > 0 and cjson.encode(keys) or '[]'
bytes = bytes + #terms
redis.call('HSET', place, 'terms', terms, 'bytes', text(bytes), unpack(values))

-- Its bytes are counted with those of its entry.
local grown, id = bytes - tonumber(was[2] or '0'), text(n) .. '-0'
local instream = redis.call('XRANGE', events, id, id)[1]
local isloose = redis.call('ZSCORE', base .. 'loose', text(n))
if redis.call('ZSCORE', base .. 'kept', text(n)) then
  count('keptbytes', grown)
else
  if instream or isloose then
    count('bytes', grown)
  else
    redis.call('HINCRBY', base .. 'sharebytes', share, text(grown))
    count('sharebytes', grown)
  end
  local counting = redis.call('HMGET', meta, 'counting', 'countto')
  if not instream or not counting[1] or n < tonumber(counting[1]) or n >= tonumber(counting[2] or '0') then
    redis.call('ZINCRBY', base .. 'used', text(grown), share)
    count('used', grown)
  end
end
if redis.call('ZREM', base .. 'gone:' .. share, text(n)) == 1 then orphan(n) end
for _, d in ipairs(moves) do
  d.size = d.old and d.size or #field(all, 'raw') + #event
  move(d)
end
touchall()
writecounters()
return 1
