#!lua flags=allow-oom
-- Makes the consumer group where it is missing: at the low mark, below which everything is committed. Never at 0,
-- which repeats all that is kept, nor at $, which loses what was not claimed.
--   ARGV  time
--   returns 1 when it was made
local low = tonumber(redis.call('HGET', meta, 'low') or '1')
local made = redis.pcall('XGROUP', 'CREATE', events, group, text(low - 1) .. '-0', 'MKSTREAM')
if made.err then return 0 end
-- Above the mark some are committed: they are told from the others by their outcome.
redis.call('HSET', meta, 'regrouped', text(tonumber(redis.call('HGET', meta, 'next') or '1') - 1))
-- What is pending is counted again: entries may be lost too. Everything below the mark is committed.
local committed = 0
local slice = math.floor(low / 65536)
for _, name in ipairs(redis.call('ZRANGEBYSCORE', base .. 'slices', text(slice), '+inf')) do
  for bucket = math.max(math.floor(low / 64), name * 1024), name * 1024 + 1023 do
    committed = committed + redis.call('HLEN', base .. 'outcome:' .. text(bucket))
  end
end
local at = base .. 'outcome:' .. text(math.floor(low / 64))
for n = 0, low % 64 - 1 do committed = committed - redis.call('HEXISTS', at, n) end
local first = redis.call('XRANGE', events, '-', '+', 'COUNT', 1)[1]
local below = 0
if first then below = math.max(low - tonumber(string.match(first[1], '^%d+')), 0) end
redis.call('HSET', meta, 'pending', text(math.max(redis.call('XLEN', events) - below - committed, 0)))
return 1
