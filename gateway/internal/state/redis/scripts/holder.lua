#!lua flags=allow-oom
-- Gives a name to one holder, or renews it. The fence rises with each new holder, and to the same one after its end.
--   ttl  microseconds
--   returns the fence, 0 when somebody else has it
local name, caller, ttl = take(3)
local k = base .. name
local had = redis.call('HMGET', k, 'holder', 'until', 'fence')
local live = had[2] and tonumber(had[2]) > now
if live and had[1] ~= caller then return 0 end
local fence = tonumber(had[3] or '0')
if not live then fence = fence + 1 end
redis.call('HSET', k, 'holder', caller, 'until', text(now + ttl), 'fence', text(fence))
return fence
