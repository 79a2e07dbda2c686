#!lua flags=allow-oom
-- Moves deliveries on without their event's claim, each if it is still what the caller read and nobody has it.
--   moves  deliveries, as move.lua reads them
--   returns for each 1 when it was moved, 0 when somebody has it or its event is gone, -1 when it changed meanwhile
local results = {}
local nmoves = take(1)
for _ = 1, nmoves do
  local d = wanted()
  local done = movable(d)
  if done == 1 then move(d) end
  results[#results + 1] = done
end
settled()
counted()
return results
