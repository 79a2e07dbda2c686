#!lua flags=allow-oom
-- Removes a destination of which nothing is left but its hold.
--   returns how many deliveries wait, and whether dead letters or history are kept (1): if either, nothing was removed
local dest = take(1)
local waits = redis.call('ZCARD', base .. 'wait:' .. dest)
local kept = redis.call('EXISTS', base .. 'dead:' .. dest, base .. 'h:' .. dest, base .. 'f:' .. dest)
if waits == 0 and kept == 0 then
  redis.call('HDEL', base .. 'holds', dest)
  redis.call('SREM', base .. 'dests', dest)
  redis.call('HDEL', base .. 'waitbytes', dest)
  redis.call('HDEL', base .. 'deadbytes', dest)
  correct(dest)
  touch(dest)
  correct(dest)
end
return { waits, math.min(kept, 1) }
