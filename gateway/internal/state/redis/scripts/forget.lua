#!lua flags=allow-oom
-- Removes a destination of which nothing is left but its hold.
--   conditional  1: only if there is no present hold, or its record is `over`
--   returns 1 when it was removed, else 0; how many deliveries wait; 1 if dead letters or history are kept; 1 if another hold
--           is present
local dest, conditional, over = take(3)
local waits = redis.call('ZCARD', base .. 'wait:' .. dest)
local kept = math.min(redis.call('EXISTS', base .. 'dead:' .. dest, base .. 'h:' .. dest, base .. 'f:' .. dest), 1)
local other = conditional == '1' and otherhold(dest, over) and 1 or 0
if waits > 0 or kept > 0 or other > 0 then return { 0, waits, kept, other } end
redis.call('HDEL', base .. 'holds', dest)
redis.call('SREM', base .. 'dests', dest)
redis.call('HDEL', base .. 'waitbytes', dest)
redis.call('HDEL', base .. 'deadbytes', dest)
touch(dest)
correct(dest)
return { 1, 0, 0, 0 }
