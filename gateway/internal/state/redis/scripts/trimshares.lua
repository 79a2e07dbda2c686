#!lua flags=allow-oom
-- Removes the oldest events of tenants' shares: those that are too old, or, while the bytes exceed the bound, those above the
-- level of the given tenants.
--   levels  tenants and their levels; none: all tenants with events that are too old
--   returns events, kept, ids forgotten, whether more is to be done, bytes freed
local more = false
local function shed(tenant, level, turn)
  local share, loose, last = base .. 'share:' .. tenant, base .. 'looseshare:' .. tenant, nil
  local entries, full = oldest(share, loose, nil, turn)
  local n = 0
  for _, entry in ipairs(entries) do
    local number, all, isloose = unpack(entry)
    if not old(received(all)) and not (usage(tenant) > level and over()) then break end
    last = number
    local size = length(last, all)
    redis.call('SETBIT', base .. 'aside:' .. text(math.floor(last / 65536)), last % 65536, 0)
    shared[tenant] = (shared[tenant] or 0) - size
    count('share', -1)
    count('sharebytes', -size)
    spend(tenant, size)
    total, freed, n = total - size, freed + size, n + 1
    if isloose then unloose(loose, last) end
    leave(last, tenant, all)
  end
  if last then redis.call('XTRIM', share, 'MINID', text(last + 1) .. '-0') end
  local front = oldest(share, loose, nil, 1)[1]
  if front then
    redis.call('ZADD', base .. 'shares', text(received(front[2])), tenant)
  else
    redis.call('DEL', share)
    redis.call('ZREM', base .. 'shares', tenant)
  end
  more = more or full and n == #entries
end
local nlevels = numbers(1)
if nlevels > 0 then
  local turn = math.max(math.floor(most / nlevels), 1)
  for _ = 1, nlevels do
    local tenant, level = take(2)
    shed(tenant, tonumber(level), turn)
  end
elseif age > 0 then
  local some = redis.call('ZRANGEBYSCORE', base .. 'shares', '-inf', '(' .. text(wall - age), 'LIMIT', 0, 8)
  for _, tenant in ipairs(some) do shed(tenant, math.huge, math.floor(most / #some)) end
  more = more or #some == 8
end
writesums()
return { done, kept, forgotten, more and 1 or 0, freed }
