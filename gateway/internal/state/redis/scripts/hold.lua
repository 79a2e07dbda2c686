#!lua flags=allow-oom
-- Keeps a destination from being served, or lifts that: one write, however much waits.
--   till         microseconds until it ends; empty: never
--   record       of the hold; empty: it is lifted
--   conditional  1: only where the hold that stands, if any, has the record `over`
--   returns 0 when another stands, else 1
local dest, till, record, conditional, over = take(5)
if conditional == '1' then
  local stands = redis.call('HGET', base .. 'holds', dest)
  if stands and string.sub(stands, 8) ~= over then
    local ends = struct.unpack('>I7', stands)
    if ends == 0 or ends > now then return 0 end
  end
end
if record == '' then
  redis.call('HDEL', base .. 'holds', dest)
else
  local ends = 0
  if till ~= '' then ends = now + till end
  redis.call('HSET', base .. 'holds', dest, struct.pack('>I7', ends) .. record)
end
touch(dest)
return 1
