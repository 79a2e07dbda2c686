#!lua
-- Makes the next revision of a committed event the one that counts, with the deliveries it owes and those it ends: all of
-- it or nothing. It is refused by Redis as a whole when memory is full.
--   ARGV  time, slot and field of the event's id, tenant (as a part of keys), revision that is expected to be kept,
--         number of fields of revised:N and those, name and value each; number of keys it is found by, those without the
--         prefix; then deliveries as move.lua reads them
--   returns 1 when it was done, 0 when the event is gone, -1 when it is not committed, another revision is kept, or a
--         delivery changed or is somebody's
local n = tonumber(redis.call('HGET', base .. 'id:' .. ARGV[2], ARGV[3]) or '0')
local tenant, place = ARGV[4], base .. 'revised:' .. text(n)
local all = n > 0 and fields(n, tenant)
if not all then return 0 end
if redis.call('HEXISTS', base .. 'outcome:' .. text(math.floor(n / 64)), n % 64) == 0 then return -1 end
local was = redis.call('HMGET', place, 'revision', 'bytes', 'terms')
if (was[1] or '0') ~= ARGV[5] then return -1 end

local values, bytes, i = {}, 0, 7
for k = i, i + 2 * tonumber(ARGV[6]) - 1 do
  values[#values + 1] = ARGV[k]
  bytes = bytes + #ARGV[k]
end
i = i + 2 * tonumber(ARGV[6])
local keys = {}
for k = i + 1, i + tonumber(ARGV[i]) do keys[#keys + 1] = ARGV[k] end
i = i + 1 + #keys
local moves = {}
for k = i, #ARGV, 17 do
  local d = wanted(k)
  if d.n ~= n or movable(d) ~= 1 then return -1 end
  moves[#moves + 1] = d
end

if was[3] then
  for _, key in ipairs(cjson.decode(was[3])) do redis.call('ZREM', base .. key, text(n)) end
else
  count('revised', 1)
end
for _, key in ipairs(keys) do redis.call('ZADD', base .. key, n, text(n)) end
-- An empty list would be written as an object.
local terms = #keys > 0 and cjson.encode(keys) or '[]'
bytes = bytes + #terms
redis.call('HSET', place, 'terms', terms, 'bytes', text(bytes), unpack(values))

-- Its bytes count where those of its entry do.
local grown, id = bytes - tonumber(was[2] or '0'), text(n) .. '-0'
local instream = redis.call('XRANGE', events, id, id)[1]
if not instream and redis.call('EXISTS', base .. 'kept:' .. text(n)) == 1 then
  count('keptbytes', grown)
else
  if instream then
    count('bytes', grown)
  else
    redis.call('HINCRBY', base .. 'sharebytes', tenant, text(grown))
    count('sharebytes', grown)
  end
  local counting = redis.call('HMGET', meta, 'counting', 'countto')
  if not instream or not counting[1] or n < tonumber(counting[1]) or n >= tonumber(counting[2] or '0') then
    redis.call('ZINCRBY', base .. 'used', text(grown), tenant)
    count('used', grown)
  end
end
if redis.call('ZREM', base .. 'gone:' .. tenant, text(n)) == 1 then orphan(n) end
for _, d in ipairs(moves) do
  d.size = d.old and d.size or #field(all, 'raw') + #ARGV[8]
  move(d)
end
settled()
counted()
return 1
