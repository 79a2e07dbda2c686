#!lua flags=allow-oom
-- Acknowledges an entry that cannot be ours, by its id.
--   ARGV  time, id of the entry
--   returns 1 when it was pending
local acked = redis.call('XACK', events, group, ARGV[2])
if acked == 1 then foreign() end
counted()
return acked
