#!lua flags=allow-oom
-- Replaces parts of indexes by what is left of them. A part that was removed meanwhile stays so.
--   ARGV  empty, then names and values in turn
--   returns how many were replaced
local done = 0
for i = 2, #ARGV, 2 do
  local key = base .. ARGV[i]
  if ARGV[i + 1] == '' then
    redis.call('DEL', key)
  elseif redis.call('EXISTS', key) == 1 then
    redis.call('SET', key, ARGV[i + 1])
    done = done + 1
  end
end
return done
