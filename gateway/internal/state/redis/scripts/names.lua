#!lua flags=allow-oom
-- Keeps texts that records refer to, each where no other text has its reference. It works when memory is full, as
-- commits do.
--   ARGV  empty, then reference and text in turn
--   returns the places of the pairs, from 0 on, whose reference another text has
local taken = {}
for i = 2, #ARGV, 2 do
  local kept = redis.call('HGET', base .. 'names', ARGV[i])
  if not kept then
    redis.call('HSET', base .. 'names', ARGV[i], ARGV[i + 1])
  elseif kept ~= ARGV[i + 1] then
    taken[#taken + 1] = i / 2 - 1
  end
end
return taken
