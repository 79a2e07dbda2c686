-- Deletes a consumer from its group, unless entries are pending for it: Redis would drop them with the consumer.
--   KEYS  stream
--   ARGV  group, consumer
--   returns 1 when the consumer was deleted, else 0
local stream, group, consumer = KEYS[1], ARGV[1], ARGV[2]
local pending = redis.pcall('XPENDING', stream, group, '-', '+', 1, consumer)
if pending.err or #pending > 0 then return 0 end
redis.pcall('XGROUP', 'DELCONSUMER', stream, group, consumer)
return 1
