#!lua flags=allow-oom
-- Replaces the records of deliveries, which are the same but for their reasons.
--   number               of the event, as it was read
--   wasoutcome, outcome  the event's decision as it was read, and as it shall be
--   records              suffix, the record as it was read, and as it shall be
--   returns 1, 0 when the event was removed, -1 when something has changed since it was read
local idslot, idfield, number, wasoutcome, outcome, nrecords = take(6)
local n = tonumber(redis.call('HGET', base .. 'id:' .. idslot, idfield) or '0')
if n ~= tonumber(number) then return n == 0 and 0 or -1 end
local records = {}
for k = 1, nrecords do
  local suffix, was, is = take(3)
  records[k] = { suffix, was, is }
end
local bucket = base .. 'outcome:' .. text(math.floor(n / 64))
if redis.call('HGET', bucket, n % 64) ~= wasoutcome then return -1 end
for _, r in ipairs(records) do
  if redis.call('HGET', owedkey(n), owedfield(n, r[1])) ~= r[2] then return -1 end
end
for _, r in ipairs(records) do redis.call('HSET', owedkey(n), owedfield(n, r[1]), r[3]) end
redis.call('HSET', bucket, n % 64, outcome)
return 1
