#!lua flags=allow-oom
-- Forgets ids of events that are gone, oldest first.
--   ARGV  time, age (microseconds), most ids (0: no bound), most at once
--   returns how many were forgotten, whether more is to be done
local age, bound, most = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local ids, done = base .. 'ids', 0
local left = redis.call('LLEN', ids)
while done < most do
  local v = redis.call('LINDEX', ids, 0)
  if not v then break end
  local at, where, rest = struct.unpack('>I7s', v)
  if not (bound > 0 and left > bound or age > 0 and at < now - age) then break end
  redis.call('LPOP', ids)
  redis.call('HDEL', base .. where, string.sub(v, rest))
  done, left = done + 1, left - 1
end
count('ids', -done)
counted()
return { done, done == most and 1 or 0 }
