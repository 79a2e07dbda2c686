#!lua flags=no-writes
-- Counts living holders of a former version, which does not know shares.
--   deadafter  microseconds without a sign of life after which a holder is dead
--   returns how many
local deadafter = take(1)
local n = 0
for _, holder in ipairs(redis.call('ZRANGEBYSCORE', base .. 'holders', '(' .. text(signtime() - deadafter), '+inf')) do
  if redis.call('SISMEMBER', base .. 'sharers', holder) == 0 then n = n + 1 end
end
return n
