-- Adds an item to a capped list, whose key expires with its last item.
--   most  items
--   ttl   microseconds
local function addtolist(list, item, most, ttl)
  local k = base .. list
  redis.call('LPUSH', k, struct.pack('>I8', now + ttl) .. item)
  redis.call('LTRIM', k, 0, most - 1)
  if most == 0 then return redis.call('DEL', k) end
  redis.call('PEXPIRE', k, text(math.max(math.ceil(ttl / 1000), redis.call('PTTL', k))))
end
