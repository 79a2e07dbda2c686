#!lua flags=allow-oom
-- Keeps texts that records refer to. It works when memory is full, as commits do.
--   ARGV  empty, then reference and text in turn
for i = 2, #ARGV, 2 do redis.call('HSET', base .. 'names', ARGV[i], ARGV[i + 1]) end
return 1
