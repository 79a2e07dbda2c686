#!lua flags=allow-oom
-- Gives keys of once back, each if its owner has it.
--   ARGV  time, then key and owner in turn
for i = 2, #ARGV, 2 do
  local v = redis.call('GET', base .. ARGV[i])
  if v and string.sub(v, 8) == ARGV[i + 1] then redis.call('DEL', base .. ARGV[i]) end
end
return 1
