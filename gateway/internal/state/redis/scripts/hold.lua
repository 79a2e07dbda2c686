#!lua flags=allow-oom
-- Puts a destination on hold or lifts its hold: one write, however many deliveries wait.
--   till         microseconds until it ends; empty: never
--   record       of the hold; empty: it is lifted
--   conditional  1: only if there is no present hold, or its record is `over`
--   returns 0 when there is another hold, else 1
local dest, till, record, conditional, over = take(5)
if conditional == '1' and otherhold(dest, over) then return 0 end
if record == '' then
  redis.call('HDEL', base .. 'holds', dest)
else
  local ends = 0
  if till ~= '' then ends = now + till end
  redis.call('HSET', base .. 'holds', dest, struct.pack('>I7', ends) .. record)
end
touch(dest)
return 1
