#!lua flags=allow-oom
-- Sets the times of destinations in the orders to what their lists have.
--   dests  tenant/destination
--   returns how many
local ndests = take(1)
for _ = 1, ndests do
  local dest = take(1)
  correct(dest)
end
return ndests
