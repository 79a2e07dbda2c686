#!lua flags=allow-oom
-- Splits the list of IDs that former versions kept for all tenants: each ID moves to its tenant's list, or is forgotten.
--   age  microseconds; 0: no bound
--   returns how many were forgotten, how many were moved, whether more is to be done
local age, most = numbers(2)
local forgotten, moved, recalled = 0, 0, {}

-- The tenant of an ID. Its field is the ID, packed if it is 32 hexadecimal digits, and the tenant.
local function owner(where, id)
  local tenant = string.sub(id, 17)
  local hex = string.gsub(string.sub(id, 1, 16), '.', function(c) return string.format('%02x', string.byte(c)) end)
  if idplace(tenant, hex) == base .. where and redis.call('SISMEMBER', base .. 'tenants', escaped(tenant)) == 1 then return tenant end
  return string.match(id, '^.*%z(.*)$') or ''
end

local some = redis.call('LPOP', base .. 'ids', most) or {}
for _, v in ipairs(some) do
  local at, where, rest = struct.unpack('>I7s', v)
  local id = string.sub(v, rest)
  if age > 0 and at < wall - age then
    forgetid(where, id)
    forgotten = forgotten + 1
  else
    recalled[#recalled + 1] = { escaped(owner(where, id)), v, at }
    moved = moved + 1
  end
end
writerecalled(recalled, true)
if #some == most then count('ids', -most) else redis.call('HDEL', meta, 'ids') end
writecounters()
return { forgotten, moved, #some == most and 1 or 0 }
