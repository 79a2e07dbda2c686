#!lua flags=allow-oom
-- Writes a mark, also where memory is full.
--   ARGV  empty, hash, field, value
--   returns 1
redis.call('HSET', base .. ARGV[2], ARGV[3], ARGV[4])
return 1
