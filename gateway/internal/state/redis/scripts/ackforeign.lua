#!lua flags=allow-oom
-- Acknowledges an entry of another program, which its ID tells.
--   returns 1 when it was pending
local entryid = take(1)
local acked = redis.call('XACK', events, group, entryid)
if acked == 1 then countforeign() end
writecounters()
return acked
