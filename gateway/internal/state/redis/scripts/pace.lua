-- What the scripts share that look at the clock (beat, tick): it stands behind lib.lua in them, and before them.

-- Has leases end later: those of all holders.
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
  settled()
end

-- Writes down the time that is seen, and finds out whether the clock stepped. After a step back the time goes on from the
-- latest that was seen. A step forward takes that back; what is left of it is followed, but by leases, whose holders need
-- as long as before. How long it really was, who looks knows: elapsed is the time since it last did (microseconds; nil: it
-- did not yet, and nobody can tell a step forward from a rest).
--   returns by how much the clock stepped (microseconds, negative: back), 0: it did not
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
  -- While nobody could give a sign of life, none says that its holder is dead: Redis was away, or the clock stepped.
  if was > 0 and seen > was + 5 * second and ARGV[1] == '' then
    for _, h in ipairs(redis.call('ZRANGE', base .. 'holders', 0, -1)) do
      redis.call('ZINCRBY', base .. 'holders', text(seen - was), h)
    end
  end
  return step
end
