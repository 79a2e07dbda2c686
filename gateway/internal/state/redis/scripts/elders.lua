#!lua flags=no-writes
-- Counts the holders that live and do not know of shares: replicas of a former version.
--   ARGV  empty, microseconds after which a holder is dead
--   returns how many
local n = 0
for _, holder in ipairs(redis.call('ZRANGEBYSCORE', base .. 'holders', '(' .. text(now - tonumber(ARGV[2])), '+inf')) do
  if redis.call('SISMEMBER', base .. 'sharers', holder) == 0 then n = n + 1 end
end
return n
