#!lua flags=allow-oom
-- Removes holds that have ended.
local ndests = take(1)
for _ = 1, ndests do
  local dest = take(1)
  local hold = redis.call('HGET', base .. 'holds', dest)
  if hold then
    local till = struct.unpack('>I7', hold)
    if till > 0 and till <= now then redis.call('HDEL', base .. 'holds', dest) end
  end
end
return 1
