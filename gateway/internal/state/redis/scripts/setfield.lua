#!lua flags=allow-oom
-- Sets a field of a hash, also when memory is full.
--   returns 1
local hash, name, value = take(3)
redis.call('HSET', base .. hash, name, value)
return 1
