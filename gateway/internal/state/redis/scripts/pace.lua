-- Shared by the scripts that check the clock (beat, tick); inserted after lib.lua.

-- Extends the leases of all holders.
local function extend(by)
  for _, h in ipairs(redis.call('ZRANGE', base .. 'holders', 0, -1)) do
    local all = redis.call('ZRANGE', leases(h), 0, -1, 'WITHSCORES')
    for i = 1, #all, 2 do
      local cut = string.find(all[i], '%z')
      local dest, m = string.sub(all[i], 1, cut - 1), string.sub(all[i], cut + 1)
      if redis.call('ZSCORE', base .. 'due:' .. dest, m) == all[i + 1] then
        local till = text(tonumber(all[i + 1]) + by)
        redis.call('ZADD', base .. 'due:' .. dest, till, m)
        redis.call('ZADD', leases(h), till, all[i])
        touched[dest] = true
      end
    end
  end
  touchall()
end

-- Writes the time that was seen, and detects steps of the clock. After a step back, time continues from the latest that was
-- seen. A step forward first undoes that; the rest of it is followed, and leases are extended by it, as their holders need as
-- long as before. elapsed is the time since the caller's last check (microseconds; nil: it is the first, which cannot tell a
-- step forward from a pause).
--   returns by how much the clock stepped (microseconds, negative: back), 0: it did not step
local function pace(elapsed)
  local was, at, step = seen, wall + ahead, 0
  if was > 0 and at < was - second then
    step = at - was
    ahead = ahead - step
    redis.call('HSET', meta, 'step', text(step), 'steppedat', text(wall))
  elseif was > 0 and elapsed and at > was + elapsed + 5 * second then
    step = at - was - elapsed
    local back = math.min(step, ahead)
    ahead = ahead - back
    if step > back then extend(step - back) end
    if ahead == 0 then redis.call('HDEL', meta, 'step', 'steppedat') end
  end
  seen = math.max(was, wall + ahead)
  now = seen
  redis.call('HSET', meta, 'seen', text(seen), 'ahead', text(ahead))
  -- Redis was down or the clock stepped, and no holder could give a sign of life: that time does not count.
  if was > 0 and seen > was + 5 * second and ARGV[1] == '' then
    for _, h in ipairs(redis.call('ZRANGE', base .. 'holders', 0, -1)) do
      redis.call('ZINCRBY', base .. 'holders', text(seen - was), h)
    end
  end
  return step
end
