#!lua flags=allow-oom
-- Removes the oldest minutes of statistics that former versions kept for a tenant, and the tenant with its last one.
--   before  microseconds
--   most    minutes
--   returns how many were removed
local tenant, before, most = take(3)
local minutes = base .. 'minutes:' .. tenant
local old = redis.call('ZRANGEBYSCORE', minutes, '-inf', '(' .. before, 'LIMIT', 0, most)
for _, m in ipairs(old) do
  redis.call('DEL', base .. 'stats:' .. tenant .. ':' .. m)
  redis.call('ZREM', minutes, m)
end
if redis.call('EXISTS', minutes) == 0 then redis.call('SREM', base .. 'tenants', tenant) end
return #old
