#!lua flags=allow-oom
-- Removes cells of statistics of a tenant in one period.
--   bytes  what the tenant had in the period before its things were listed: no longer counted; 0: other things are still to be removed.
--          What is counted meanwhile stays counted: its name may be a new one, which is not removed
--   thing  kind and name
--   returns the number of keys
local tenant, period = take(2)
local bytes = numbers(1)
local removed = 0
local nthings = take(1)
for _ = 1, nthings do
  local thing = take(1)
  removed = removed + redis.call('UNLINK', base .. 'st:' .. tenant .. ':' .. thing .. ':' .. period)
end
if bytes > 0 then
  local k = base .. 'stbytes:' .. period
  bytes = math.min(bytes, tonumber(redis.call('HGET', k, tenant) or '0'))
  if redis.call('HINCRBY', k, tenant, -bytes) == 0 then redis.call('HDEL', k, tenant) end
  redis.call('HINCRBY', k, '', -bytes)
end
return removed
