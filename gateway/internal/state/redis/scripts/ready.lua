#!lua flags=no-writes
-- The destinations that can be served now, those that wait longest first, and how much is due for each.
--   ARGV  time, most destinations
--   returns the time, the time of the next service behind now (or empty), then destination and number in turn
local queue = base .. 'service'
local next = redis.call('ZRANGEBYSCORE', queue, '(' .. text(now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local results = { text(now), next[2] or '' }
for _, dest in ipairs(redis.call('ZRANGEBYSCORE', queue, '-inf', text(now), 'LIMIT', 0, ARGV[2])) do
  results[#results + 1] = dest
  results[#results + 1] = redis.call('ZCOUNT', base .. 'due:' .. dest, '-inf', text(now))
end
return results
