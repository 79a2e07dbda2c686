#!lua flags=allow-oom
-- Keeps texts that records refer to, each unless another text has its reference. It runs also when memory is full, as commits
-- do.
--   returns which of the names, counted from 0, have a reference that another text has
local taken = {}
local nnames = take(1)
for i = 1, nnames do
  local ref, value = take(2)
  local kept = redis.call('HGET', base .. 'names', ref)
  if not kept then
    redis.call('HSET', base .. 'names', ref, value)
  elseif kept ~= value then
    taken[#taken + 1] = i - 1
  end
end
return taken
