#!lua flags=allow-oom
-- Removes events from the dead letters by age.
--   age      microseconds
--   most     how many at once
--   tenants  whose, in turn: each one until nothing more is to be done or the number is reached
--   returns how many, of how many tenants, and whether the last of them has more
local age, most = numbers(2)
local ntenants = numbers(1)
local done, seen = 0, 0
for _ = 1, ntenants do
  local tenant = take(1)
  if done < most then
    local k = base .. 'gone:' .. tenant
    for _, n in ipairs(redis.call('ZRANGEBYSCORE', k, '-inf', '(' .. text(wall - age), 'LIMIT', 0, most - done)) do
      redis.call('ZREM', k, n)
      orphan(tonumber(n))
      done = done + 1
    end
    seen = seen + 1
  end
end
return { done, seen, done == most and 1 or 0 }
