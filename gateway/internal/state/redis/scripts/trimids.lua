#!lua flags=allow-oom
-- Forgets IDs of removed events, the oldest of each tenant first: those that are too old, or those above the level of the given
-- tenants.
--   age     microseconds; 0: no bound
--   most    at once
--   levels  tenants and their levels; none: all tenants with IDs that are too old
--   returns how many were forgotten, whether more is to be done
local age, most = numbers(2)
local done, more = 0, false
local function shed(tenant, level, most)
  local ids, n = base .. 'ids:' .. tenant, 0
  local left = redis.call('LLEN', ids)
  local at, where, rest
  while true do
    local v = redis.call('LINDEX', ids, 0)
    if not v then
      redis.call('ZREM', base .. 'idage', tenant)
      break
    end
    at, where, rest = struct.unpack('>I7s', v)
    if n == most or not (left > level or age > 0 and at < wall - age) then
      redis.call('ZADD', base .. 'idage', text(at), tenant)
      break
    end
    redis.call('LPOP', ids)
    forgetid(where, string.sub(v, rest))
    left, n = left - 1, n + 1
  end
  more = more or n == most
  if n > 0 and tonumber(redis.call('ZINCRBY', base .. 'idcount', -n, tenant)) == 0 then redis.call('ZREM', base .. 'idcount', tenant) end
  done = done + n
end
local nlevels = numbers(1)
if nlevels > 0 then
  local turn = math.max(math.floor(most / nlevels), 1)
  for _ = 1, nlevels do
    local tenant, level = take(2)
    shed(tenant, tonumber(level), turn)
  end
elseif age > 0 then
  local some = redis.call('ZRANGEBYSCORE', base .. 'idage', '-inf', '(' .. text(wall - age), 'LIMIT', 0, 8)
  for _, tenant in ipairs(some) do shed(tenant, math.huge, math.floor(most / #some)) end
  more = more or #some == 8
end
count('recalled', -done)
writecounters()
return { done, more and 1 or 0 }
