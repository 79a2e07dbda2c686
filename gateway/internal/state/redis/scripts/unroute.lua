#!lua flags=allow-oom
-- Takes away the oldest routes whose ids are known no more, and puts the others behind the newest.
--   ARGV  time, seconds for which nobody asked for one that leaves, then for each entry of `routes` from the first on:
--         entry, slot, whether its id is known
--   returns how many were taken away
-- What another process has moved meanwhile is left alone. So is a route that somebody asked for lately: the event that it
-- was asked for may be on its way to its shard, which did not know it yet.
local second, gone = math.floor(now / 1000000), 0
local routes = base .. 'routes'
for i = 3, #ARGV, 3 do
  local entry, slot = ARGV[i], base .. 'route:' .. ARGV[i + 1]
  if redis.call('LINDEX', routes, 0) ~= entry then break end
  redis.call('LPOP', routes)
  local id = string.sub(entry, 7)
  local route = redis.call('HGET', slot, id)
  local asked = 0
  if route then asked = select(2, struct.unpack('>I2I4', route)) end
  if ARGV[i + 2] == '1' or second - asked < tonumber(ARGV[2]) then
    redis.call('RPUSH', routes, struct.pack('>I4', second) .. string.sub(entry, 5))
  else
    redis.call('HDEL', slot, id)
    gone = gone + 1
  end
end
count('routes', -gone)
counted()
return gone
