-- A reader of somebody else's stream leaves its group, unless entries are pending for it: with its name they would go too.
--   KEYS  stream
--   ARGV  group, consumer
--   returns 1 when it left
local held = redis.pcall('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2])
if held.err or #held > 0 then return 0 end
redis.pcall('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
return 1
