#!lua flags=allow-oom
-- Replaces cells of statistics, if all of them are as they were read. A new one prolongs the life of its key.
--   old, new  a packed count; an empty old one does not exist
--   ttl       seconds
--   returns 1, or 0 when another replica changed one: then nothing is written
local all = {}
local ncells = take(1)
for i = 1, ncells do
  local key, field, old, new, ttl = take(5)
  local k = base .. key
  if (redis.call('HGET', k, field) or '') ~= old then return 0 end
  all[i] = { k, field, new, old == '' and ttl }
end
for _, c in ipairs(all) do
  redis.call('HSET', c[1], c[2], c[3])
  if c[4] then redis.call('EXPIRE', c[1], c[4]) end
end
return 1
