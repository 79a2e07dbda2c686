#!lua flags=allow-oom
-- Makes due again what was leased to a holder in calls whose answers were lost. A call that arrives later leases nothing.
--   leases  the due times that those calls were to write
--   returns how many deliveries are due again
local caller, nleases = take(2)
local lost, last = {}, tonumber(redis.call('HGET', base .. 'unheard', caller) or '0')
for _ = 1, nleases do
  local lease = numbers(1)
  lost[lease], last = true, math.max(last, lease)
end
redis.call('HSET', base .. 'unheard', caller, text(last))
return unlease(caller, lost)
