#!lua flags=allow-oom
-- Removes the oldest routes whose IDs are no longer recognised, and moves the others to the end of the list.
--   idle    seconds without use after which a route may be removed
--   routes  the first entries of `routes`: entry, slot, 1 if its ID is recognised
--   returns how many were removed
-- It stops at an entry that another process moved. It keeps a route that was used lately: its event may be on its way to the
-- shard.
local second, removed = math.floor(now / 1000000), 0
local routes = base .. 'routes'
local idle = numbers(1)
local nroutes = take(1)
for _ = 1, nroutes do
  local entry, slot, known = take(3)
  slot = base .. 'route:' .. slot
  if redis.call('LINDEX', routes, 0) ~= entry then break end
  redis.call('LPOP', routes)
  local id = string.sub(entry, 7)
  local route = redis.call('HGET', slot, id)
  local asked = 0
  if route then asked = select(2, struct.unpack('>I2I4', route)) end
  if known == '1' or second - asked < idle then
    redis.call('RPUSH', routes, struct.pack('>I4', second) .. string.sub(entry, 5))
  else
    redis.call('HDEL', slot, id)
    removed = removed + 1
  end
end
count('routes', -removed)
writecounters()
return removed
