#!lua
-- Finds the shard that an event's id is routed to, or routes it: the first to ask has its own.
--   ARGV  time, then for each id: slot, field, length of the id within the field, shard
--   returns each id's shard
-- A route is the shard and the second when somebody asked last, which is renewed after a minute: one that is in use is not
-- taken away (unroute.lua). `routes` has all of them, oldest first: second, length of the id, field.
local second, shards, made = math.floor(now / 1000000), {}, 0
for i = 2, #ARGV, 4 do
  local slot, id = base .. 'route:' .. ARGV[i], ARGV[i + 1]
  local route = redis.call('HGET', slot, id)
  if route then
    local shard, asked = struct.unpack('>I2I4', route)
    if second - asked > 60 then redis.call('HSET', slot, id, struct.pack('>I2I4', shard, second)) end
    shards[#shards + 1] = shard
  else
    redis.call('HSET', slot, id, struct.pack('>I2I4', ARGV[i + 3], second))
    redis.call('RPUSH', base .. 'routes', struct.pack('>I4I2', second, ARGV[i + 2]) .. id)
    shards[#shards + 1] = tonumber(ARGV[i + 3])
    made = made + 1
  end
end
count('routes', made)
counted()
return shards
