#!lua flags=allow-oom
-- Removes cells of statistics of a tenant in one period.
--   ends   1: the tenant has no others in the period
--   thing  kind and name
--   returns the number of keys
local tenant, period, ends = take(3)
local removed = 0
local nthings = take(1)
for _ = 1, nthings do
  local thing = take(1)
  removed = removed + redis.call('UNLINK', base .. 'st:' .. tenant .. ':' .. thing .. ':' .. period)
end
if ends == '1' then
  local k = base .. 'stbytes:' .. period
  local bytes = redis.call('HGET', k, tenant)
  if bytes then
    redis.call('HDEL', k, tenant)
    redis.call('HINCRBY', k, '', -bytes)
  end
end
return removed
