#!lua flags=allow-oom
-- Writes a mark, also where memory is full.
--   returns 1
local hash, name, value = take(3)
redis.call('HSET', base .. hash, name, value)
return 1
