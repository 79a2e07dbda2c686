#!lua flags=no-writes
-- Returns items of a list, newest first, without those that have expired.
--   skip  the newest items that are left out
--   n     how many items at most; negative: all that follow
--   returns the items
local list = take(1)
local skip, n = numbers(2)
local found, at = {}, 0
while true do
  local most = 128
  if n >= 0 then most = math.min(most, skip + n - #found) end
  if most <= 0 then break end
  local some = redis.call('LRANGE', base .. list, at, at + most - 1)
  for _, raw in ipairs(some) do
    if struct.unpack('>I8', raw) > now then
      if skip > 0 then skip = skip - 1 else found[#found + 1] = string.sub(raw, 9) end
    end
  end
  if #some < most then break end
  at = at + most
end
return found
