#!lua flags=allow-oom
-- A holder leaves: what it holds can be claimed, and those claims are not counted. What it has leased is due.
--   ARGV  time, consumer
--   returns the events that were freed
local freed, last = 0, '-'
unlease(ARGV[2])
while true do
  local held = redis.pcall('XPENDING', events, group, last, '+', 256, ARGV[2])
  if held.err or #held == 0 then break end
  for _, p in ipairs(held) do
    letgo(p[1], math.max(p[4] - 1, 0))
    last = '(' .. p[1]
  end
  freed = freed + #held
end
local left = redis.pcall('XPENDING', events, group, '-', '+', 1, ARGV[2])
if not left.err and #left == 0 then
  redis.pcall('XGROUP', 'DELCONSUMER', events, group, ARGV[2])
  redis.call('ZREM', base .. 'holders', ARGV[2])
  redis.call('HDEL', base .. 'unheard', ARGV[2])
  redis.call('SREM', base .. 'sharers', ARGV[2])
end
if freed > 0 then redis.call('PUBLISH', base .. 'wake', '') end
return freed
