#!lua flags=allow-oom
-- Acknowledges an entry that cannot be ours, by its id.
--   returns 1 when it was pending
local entryid = take(1)
local acked = redis.call('XACK', events, group, entryid)
if acked == 1 then foreign() end
counted()
return acked
