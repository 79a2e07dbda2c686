#!lua flags=allow-oom
-- Sets the times of destinations in the orders to what their lists have. One whose lists cannot be read keeps its times.
--   dests  tenant/destination
--   returns how many were set
local done = 0
local ndests = take(1)
for _ = 1, ndests do
  local dest = take(1)
  if pcall(correct, dest) then done = done + 1 end
end
return done
