#!lua flags=allow-oom
-- Removes an event from the dead letters. Its outcome still says why it was one.
--   share  the tenant as a part of keys
--   returns 1, or 0 when it is not a dead letter
local share, idslot, idfield = take(3)
local n = redis.call('HGET', base .. 'id:' .. idslot, idfield)
if not n or redis.call('ZREM', base .. 'gone:' .. share, n) == 0 then return 0 end
orphan(tonumber(n))
return 1
