#!lua flags=allow-oom
-- Creates the consumer group if it is missing: at the low mark, below which everything is committed. 0 would repeat all
-- kept events, and $ would lose events that were not claimed.
--   returns 1 when it was made
local low = tonumber(redis.call('HGET', meta, 'low') or '1')
local made = redis.pcall('XGROUP', 'CREATE', events, group, text(low - 1) .. '-0', 'MKSTREAM')
if made.err then return 0 end
-- Some events above the mark are committed: those have an outcome.
redis.call('HSET', meta, 'regrouped', text(tonumber(redis.call('HGET', meta, 'next') or '1') - 1))
-- Pending events are counted again, as entries may be lost too: those from the mark on that are not committed.
local pending, oldest = 0, redis.call('XRANGE', events, text(low) .. '-0', '+', 'COUNT', 1)[1]
if oldest then
  local from = tonumber(string.match(oldest[1], '^%d+'))
  pending = redis.call('XLEN', events)
  local first = redis.call('XRANGE', events, '-', '+', 'COUNT', 1)[1]
  -- Loose events have a number and no entry; committed ones are subtracted below.
  local begin = tonumber(string.match(first[1], '^%d+'))
  pending = pending - (from - begin) + redis.call('ZCOUNT', base .. 'loose', text(begin), '+inf')
  for _, slice in ipairs(redis.call('ZRANGEBYSCORE', base .. 'slices', text(math.floor(from / 65536)), '+inf')) do
    for bucket = math.max(math.floor(from / 64), slice * 1024), slice * 1024 + 1023 do
      pending = pending - redis.call('HLEN', base .. 'outcome:' .. text(bucket))
    end
  end
  local at = base .. 'outcome:' .. text(math.floor(from / 64))
  for n = 0, from % 64 - 1 do pending = pending + redis.call('HEXISTS', at, n) end
end
redis.call('HSET', meta, 'pending', text(math.max(pending, 0)))
return 1
