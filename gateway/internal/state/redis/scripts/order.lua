#!lua flags=no-writes
-- Returns the first destinations of a tenant's orders: those whose newest entry is not older than a time, and some more.
--   share    the tenant as a part of keys
--   lists    which, the time in microseconds or +inf, and how many more
--   returns whether the orders are complete (1 or 0), how often they ceased to be, then for each list how many are not older
--         than top, and names and times, newest first
local share, nlists = take(2)
local ordered = redis.call('SISMEMBER', base .. 'ordered', share) == 1 and not unordered()
local results = { ordered and 1 or 0, tonumber(redis.call('HGET', meta, 'disordered') or '0') }
for _ = 1, nlists do
  local list, top, more = take(3)
  local key = base .. 'order:' .. share .. ':' .. list
  local above = redis.call('ZCOUNT', key, top, '+inf')
  results[#results + 1] = above
  results[#results + 1] = redis.call('ZREVRANGE', key, 0, above + more - 1, 'WITHSCORES')
end
return results
