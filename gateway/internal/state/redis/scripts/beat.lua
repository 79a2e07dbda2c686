#!lua flags=allow-oom
-- Records a holder's sign of life and releases what dead holders had: their events can be claimed and count as claimed once
-- more, and their leases are due. A consumer is deleted only when nothing is pending for it: Redis would drop that with it.
--   deadafter  microseconds without a sign of life after which a holder is dead
--   elapsed    microseconds since this one's last sign of life; empty: it is the first
--   returns how many events and deliveries were released, and by how much the clock stepped (microseconds, negative: back)
local consumer, deadafter, elapsed = take(3)
local step = pace(tonumber(elapsed))
local holders, freed, due = base .. 'holders', 0, 0
local sign = signtime()
redis.call('ZADD', holders, text(sign), consumer)
redis.call('ZREMRANGEBYSCORE', leases(consumer), '-inf', text(now)) -- leases that have ended
redis.call('EXPIRE', leases(consumer), 86400) -- a former version, which may run beside this one, does not know of them
redis.call('SADD', base .. 'sharers', consumer)
redis.call('SADD', base .. 'orderers', consumer)
-- The orders of lists lack what a former version writes. So they are complete no longer when one lives, or when for three
-- seconds none of this version looked whether one does. Readers make them again (orderlists.lua).
local looked = tonumber(redis.call('HGET', meta, 'ordersign') or '0')
if unordered() or sign < looked or sign > looked + 3 * second then
  redis.call('DEL', base .. 'ordered')
  redis.call('HINCRBY', meta, 'disordered', 1)
end
redis.call('HSET', meta, 'ordersign', text(sign))
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', holders, '-inf', text(sign - deadafter))) do
  due = due + unlease(dead)
  local held
  repeat
    held = redis.pcall('XPENDING', events, group, '-', '+', 256, dead)
    if held.err then held = {} end
    for _, p in ipairs(held) do release(p[1], p[4]) end
    if #held > 0 then
      freed = freed + #held
      local left = redis.call('XPENDING', events, group, '-', '+', 1, dead)
      if left[1] and left[1][1] == held[1][1] then break end -- it cannot be moved; it is tried again with the next beat
    end
  until #held == 0
  if #held == 0 then
    redis.pcall('XGROUP', 'DELCONSUMER', events, group, dead)
    redis.call('ZREM', holders, dead)
    redis.call('HDEL', base .. 'unheard', dead)
    redis.call('SREM', base .. 'sharers', dead)
    redis.call('SREM', base .. 'orderers', dead)
  end
end
local pending = redis.pcall('XPENDING', events, group)
if not pending.err then
  local low = pending[1] > 0 and string.match(pending[2], '^%d+') or nil
  if not low then
    for _, g in ipairs(redis.call('XINFO', 'GROUPS', events)) do
      local named, last
      for i = 1, #g, 2 do
        if g[i] == 'name' then named = g[i + 1] == group end
        if g[i] == 'last-delivered-id' then last = g[i + 1] end
      end
      if named then low = text(tonumber(string.match(last, '^%d+')) + 1) end
    end
  end
  if low then redis.call('HSET', meta, 'low', low) end
end
if freed > 0 then redis.call('PUBLISH', base .. 'wake', '') end
return { freed, due, text(step) }
