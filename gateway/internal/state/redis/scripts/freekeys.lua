#!lua flags=allow-oom
-- Gives keys of `once` back, each if the owner has it.
local nkeys = take(1)
for _ = 1, nkeys do
  local key, owner = take(2)
  local v = redis.call('GET', base .. key)
  if v and string.sub(v, 8) == owner then redis.call('DEL', base .. key) end
end
return 1
