#!lua flags=no-writes
-- Finds the number below which all events were received before a time.
--   untiltime  milliseconds
--   returns the number
local untiltime = numbers(1)
local low = tonumber(redis.call('HGET', meta, 'first') or '1')
local high = tonumber(redis.call('HGET', meta, 'next') or '1')
while low < high do
  local middle = math.floor((low + high) / 2)
  local entry = redis.call('XRANGE', events, text(middle) .. '-0', '+', 'COUNT', 1)[1]
  if not entry or (tonumber(field(entry[2], 'received')) or 0) >= untiltime then
    high = middle
  else
    low = middle + 1
  end
end
return text(high)
