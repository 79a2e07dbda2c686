#!lua flags=allow-oom
-- Leases a name to one holder, or renews the lease. The fence rises with each new holder, and for the same one after an
-- expiry.
--   ttl  microseconds
--   returns the fence, 0 when another holder has it
local name, caller, ttl = take(3)
local k = base .. name
local had = redis.call('HMGET', k, 'holder', 'until', 'fence')
local live = had[2] and tonumber(had[2]) > now
if live and had[1] ~= caller then return 0 end
local fence = tonumber(had[3] or '0')
if not live then fence = fence + 1 end
redis.call('HSET', k, 'holder', caller, 'until', text(now + ttl), 'fence', text(fence))
return fence
