#!lua flags=allow-oom
-- Removes events from the dead letters by age.
--   age   microseconds
--   most  for each tenant
--   returns how many
local age, most = take(2)
local done = 0
for _, tenant in ipairs(redis.call('SMEMBERS', base .. 'tenants')) do
  local k = base .. 'gone:' .. tenant
  for _, n in ipairs(redis.call('ZRANGEBYSCORE', k, '-inf', '(' .. text(wall - age), 'LIMIT', 0, most)) do
    redis.call('ZREM', k, n)
    orphan(tonumber(n))
    done = done + 1
  end
end
return done
