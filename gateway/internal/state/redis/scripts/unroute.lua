#!lua flags=allow-oom
-- Takes away the oldest routes whose ids are known no more, and puts the others behind the newest.
--   idle    seconds for which nobody asked for a route that leaves
--   routes  entries of `routes` from the first on: entry, slot, 1 if an event of its id is known
--   returns how many were taken away
-- What another process has moved meanwhile is left alone. So is a route that somebody asked for lately: the event that it
-- was asked for may be on its way to its shard, which did not know it yet.
local second, gone = math.floor(now / 1000000), 0
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
    gone = gone + 1
  end
end
count('routes', -gone)
counted()
return gone
