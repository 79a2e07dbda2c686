#!lua flags=allow-oom
-- Takes an event out of the dead letters. Its outcome stays and says why it was one.
--   ARGV  time, tenant, slot and field of its id
--   returns 1, or 0 when it is none
local n = redis.call('HGET', base .. 'id:' .. ARGV[3], ARGV[4])
if not n or redis.call('ZREM', base .. 'gone:' .. ARGV[2], n) == 0 then return 0 end
orphan(tonumber(n))
return 1
