#!lua flags=allow-oom
-- Removes a holder that stops: its events can be claimed and those claims do not count; its leases are due.
--   returns how many events were released
local consumer = take(1)
local freed, last = 0, '-'
unlease(consumer)
while true do
  local held = redis.pcall('XPENDING', events, group, last, '+', 256, consumer)
  if held.err or #held == 0 then break end
  for _, p in ipairs(held) do
    release(p[1], math.max(p[4] - 1, 0))
    last = '(' .. p[1]
  end
  freed = freed + #held
end
local left = redis.pcall('XPENDING', events, group, '-', '+', 1, consumer)
if not left.err and #left == 0 then
  redis.pcall('XGROUP', 'DELCONSUMER', events, group, consumer)
  redis.call('ZREM', base .. 'holders', consumer)
  redis.call('HDEL', base .. 'unheard', consumer)
  redis.call('SREM', base .. 'sharers', consumer)
  redis.call('SREM', base .. 'orderers', consumer)
end
if freed > 0 then redis.call('PUBLISH', base .. 'wake', '') end
return freed
