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
return 1
