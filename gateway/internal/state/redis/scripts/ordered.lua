#!lua flags=allow-oom
-- Notes that the orders of a tenant are complete, unless they ceased to be meanwhile.
--   share       the tenant as a part of keys
--   disordered  how often they had ceased to be when the caller began to make them
--   returns 1 when they are complete
local share, disordered = take(2)
if unordered() or (redis.call('HGET', meta, 'disordered') or '0') ~= disordered then return 0 end
return redis.call('SADD', base .. 'ordered', share) >= 0 and 1
