#!lua flags=allow-oom
-- Replaces parts of indexes by what is left of them. A part that was removed since it was read is not recreated.
--   parts  names and what is left of each
--   returns how many were replaced
local done = 0
local nparts = take(1)
for _ = 1, nparts do
  local name, value = take(2)
  local key = base .. name
  if value == '' then
    redis.call('DEL', key)
  elseif redis.call('EXISTS', key) == 1 then
    redis.call('SET', key, value)
    done = done + 1
  end
end
return done
