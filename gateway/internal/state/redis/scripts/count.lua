#!lua flags=allow-oom
-- Counts what tenants have, after a former version changed events without counting them; it may run beside this one during an
-- upgrade. Counting begins at most once a minute and continues where the last call ended.
--   most  events
--   returns 1 when what tenants have is known, 2 when more is to be counted, 0 when it is not known yet
local most = numbers(1)
local m = redis.call('HMGET', meta, 'bytes', 'sharebytes', 'used', 'drift', 'counting', 'countto', 'countedat', 'found')
local function n(i) return tonumber(m[i] or '0') end
local drift, at, to = n(1) + n(2) - n(3), n(5), n(6)
if not m[5] then
  if drift == n(4) then return 1 end
  if m[7] and now - n(7) < 60000000 and now >= n(7) then return 0 end
  redis.call('DEL', base .. 'used')
  local shares, sum = redis.call('HGETALL', base .. 'sharebytes'), 0
  for i = 1, #shares, 2 do
    redis.call('ZADD', base .. 'used', shares[i + 1], shares[i])
    sum = sum + tonumber(shares[i + 1])
  end
  for _, name in ipairs(redis.call('ZRANGE', base .. 'loose', 0, -1)) do
    local all = redis.call('HGETALL', base .. 'kept:' .. name)
    local size = length(tonumber(name), all)
    redis.call('ZINCRBY', base .. 'used', text(size), escaped(field(all, 'tenant')))
    sum = sum + size
  end
  at, to = 0, tonumber(redis.call('HGET', meta, 'next') or '1')
  redis.call('HSET', meta, 'used', text(sum), 'countto', text(to), 'countedat', text(now))
end
local some = redis.call('XRANGE', events, text(at) .. '-0', '(' .. text(to) .. '-0', 'COUNT', most)
local by = {}
for _, entry in ipairs(some) do
  local all, size = entry[2], 0
  at = tonumber(string.match(entry[1], '^%d+'))
  if isours(at, all) then
    size = revisedbytes(at)
    for i = 1, #all do size = size + #all[i] end
    local tenant = escaped(field(all, 'tenant'))
    by[tenant] = (by[tenant] or 0) + size
  end
end
for tenant, size in pairs(by) do
  redis.call('ZINCRBY', base .. 'used', text(size), tenant)
  count('used', size)
end
writecounters()
if #some == most then
  redis.call('HSET', meta, 'counting', text(at + 1))
  return 2
end
redis.call('HDEL', meta, 'counting', 'countto')
-- A difference that is found twice is accepted: entries were deleted by hand.
drift = n(1) + n(2) - tonumber(redis.call('HGET', meta, 'used') or '0')
if drift == 0 or m[8] and drift == n(8) then
  redis.call('HSET', meta, 'drift', text(drift))
  redis.call('HDEL', meta, 'found')
  return 1
end
redis.call('HSET', meta, 'found', text(drift))
return 0
