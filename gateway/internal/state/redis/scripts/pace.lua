-- What the scripts share that look at the clock (beat, tick): it stands behind lib.lua in them, and before them.

-- Writes down the time that is seen, and finds out whether the clock stepped. After a step back the time goes on from the
-- latest that was seen. A step forward takes that back; what is left of it moves holders and their leases along, which
-- would end together otherwise. How long it really was, who looks knows: elapsed is the time since it last did (microseconds;
-- nil: it did not yet, and nobody can tell a step forward from a rest).
--   returns by how much the clock stepped (microseconds, negative: back), 0: it did not
local function pace(elapsed)
  local at, step = wall + ahead, 0
  if seen > 0 and at < seen - second then
    step = at - seen
    ahead = ahead - step
  elseif seen > 0 and elapsed and at > seen + elapsed + 5 * second then
    step = at - seen - elapsed
    local back = math.min(step, ahead)
    ahead = ahead - back
    local rest = step - back
    if rest > 0 then
      for _, h in ipairs(redis.call('ZRANGE', base .. 'holders', 0, -1)) do
        redis.call('ZINCRBY', base .. 'holders', text(rest), h)
        local all = redis.call('ZRANGE', leases(h), 0, -1, 'WITHSCORES')
        for i = 1, #all, 2 do
          local cut = string.find(all[i], '%z')
          local dest, m = string.sub(all[i], 1, cut - 1), string.sub(all[i], cut + 1)
          if redis.call('ZSCORE', base .. 'due:' .. dest, m) == all[i + 1] then
            local till = text(tonumber(all[i + 1]) + rest)
            redis.call('ZADD', base .. 'due:' .. dest, till, m)
            redis.call('ZADD', leases(h), till, all[i])
            touched[dest] = true
          end
        end
      end
      settled()
    end
  end
  seen = math.max(seen, wall + ahead)
  now = seen
  redis.call('HSET', meta, 'seen', text(seen), 'ahead', text(ahead))
  if step ~= 0 then redis.call('HSET', meta, 'step', text(step), 'steppedat', text(wall)) end
  return step
end
