#!lua flags=allow-oom
-- Changes deliveries without a claim of their event, each if it is as the caller read it and is not leased.
--   moves  deliveries, as move.lua reads them
--   returns for each 1 when it was changed, 0 when it is leased or its event was removed, -1 when it is not as it was read
local results = {}
local nmoves = take(1)
for _ = 1, nmoves do
  local d = wanted()
  local done = movable(d)
  if done == 1 then move(d) end
  results[#results + 1] = done
end
touchall()
writecounters()
return results
