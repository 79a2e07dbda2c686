#!lua
-- Adds an item to a capped list, whose key ends with its last item.
--   ARGV  time, list, item, most items, how long in microseconds
local k, most, ttl = base .. ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5])
redis.call('LPUSH', k, struct.pack('>I8', now + ttl) .. ARGV[3])
redis.call('LTRIM', k, 0, most - 1)
if most == 0 then return redis.call('DEL', k) end
redis.call('PEXPIRE', k, text(math.max(math.ceil(ttl / 1000), redis.call('PTTL', k))))
return 1
