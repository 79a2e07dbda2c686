#!lua flags=allow-oom
-- Leases due deliveries by moving their due time. The leases are listed by holder, and due again when the holder dies.
--   length        of the lease, in microseconds
--   lease         the due time to write: it identifies the call and rises from call to call
--   bound         most bytes; 0: any
--   destinations  where to lease from, and how many deliveries at most
--   returns the time, the time of the next service (or empty), how many destinations are still ready, then for each delivery:
--         position, suffix, its record before the lease, its event's fields
local caller = take(1)
local length, lease, bound = numbers(3)
holder = caller
local results, bytes = { text(now), '', 0 }, 0
-- A call whose answer the holder no longer waits for leases nothing.
local unheard = lease <= tonumber(redis.call('HGET', base .. 'unheard', holder) or '0')
local ndestinations = take(1)
for _ = 1, unheard and 0 or ndestinations do
  local dest, most = take(2)
  local tenant = string.match(dest, '^[^/]*')
  if bound > 0 and bytes >= bound then break end
  for _, m in ipairs(redis.call('ZRANGEBYSCORE', base .. 'due:' .. dest, '-inf', text(now), 'LIMIT', 0, most)) do
    if bound > 0 and bytes >= bound then break end
    local n, at = struct.unpack('>I8', m)
    local suffix = string.sub(m, at)
    local kept = redis.call('HGET', owedkey(n), owedfield(n, suffix))
    local all = kept and fields(n, tenant)
    if all then
      local o = decoderecord(kept)
      o.leased, o.due = 1, lease
      redis.call('HSET', owedkey(n), owedfield(n, suffix), encoderecord(o))
      redis.call('ZADD', base .. 'due:' .. dest, text(now + length), m)
      redis.call('ZADD', leases(holder), text(now + length), dest .. '\0' .. m)
      bytes = bytes + o.size
      for _, v in ipairs({ text(n), suffix, kept, all }) do results[#results + 1] = v end
    else -- it cannot be sent without its event
      redis.call('ZREM', base .. 'due:' .. dest, m)
      redis.call('ZREM', base .. 'wait:' .. dest, m)
      count('waiting', -1)
    end
  end
  touch(dest, now)
end
writecounters()
local queue = base .. 'service'
local next = redis.call('ZRANGEBYSCORE', queue, '(' .. text(now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
results[2] = next[2] or ''
results[3] = redis.call('ZCOUNT', queue, '-inf', text(now))
return results
