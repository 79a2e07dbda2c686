#!lua flags=allow-oom
-- Keeps a destination from being served, or lifts that: one write, however much waits.
--   ARGV  time, destination, microseconds until it ends (empty: never), record (empty: it is lifted), and, unless it is
--         over whatever stands, the record that it replaces
--   returns 0 when another stands, else 1
if ARGV[5] then
  local stands = redis.call('HGET', base .. 'holds', ARGV[2])
  if stands and string.sub(stands, 8) ~= ARGV[5] then
    local till = struct.unpack('>I7', stands)
    if till == 0 or till > now then return 0 end
  end
end
if ARGV[4] == '' then
  redis.call('HDEL', base .. 'holds', ARGV[2])
else
  local till = 0
  if ARGV[3] ~= '' then till = now + tonumber(ARGV[3]) end
  redis.call('HSET', base .. 'holds', ARGV[2], struct.pack('>I7', till) .. ARGV[4])
end
touch(ARGV[2])
return 1
