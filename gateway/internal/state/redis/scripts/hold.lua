#!lua flags=allow-oom
-- Keeps a destination from being served, or lifts that: one write, however much waits.
--   ARGV  time, destination, microseconds until it ends (empty: never), record (empty: it is lifted)
if ARGV[4] == '' then
  redis.call('HDEL', base .. 'holds', ARGV[2])
else
  local till = 0
  if ARGV[3] ~= '' then till = now + tonumber(ARGV[3]) end
  redis.call('HSET', base .. 'holds', ARGV[2], struct.pack('>I7', till) .. ARGV[4])
end
touch(ARGV[2])
return 1
