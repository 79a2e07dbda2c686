#!lua
-- Returns the shard that an event's ID is routed to. The first caller routes it to its own shard.
--   length  of the id within the field
--   shard   to route it to
--   returns the shard of each ID
-- A route is the shard and the second of its last use, which is renewed after a minute, so that routes in use are not removed
-- (trimroutes.lua). `routes` lists all of them, oldest first: second, length of the id, field.
local second, shards, made = math.floor(now / 1000000), {}, 0
local nids = take(1)
for _ = 1, nids do
  local idslot, idfield, length, shard = take(4)
  local slot = base .. 'route:' .. idslot
  local route = redis.call('HGET', slot, idfield)
  if route then
    local to, asked = struct.unpack('>I2I4', route)
    if second - asked > 60 then redis.call('HSET', slot, idfield, struct.pack('>I2I4', to, second)) end
    shards[#shards + 1] = to
  else
    redis.call('HSET', slot, idfield, struct.pack('>I2I4', shard, second))
    redis.call('RPUSH', base .. 'routes', struct.pack('>I4I2', second, length) .. idfield)
    shards[#shards + 1] = tonumber(shard)
    made = made + 1
  end
end
count('routes', made)
writecounters()
return shards
