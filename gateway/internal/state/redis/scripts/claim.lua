#!lua flags=allow-oom
-- Holds events for a consumer: first those that were released or whose holder died, then new ones. Never suspects
-- (claimsuspect.lua); a former version, which may run beside this one, lets go of them like of others.
--   most, bound  events and bytes (0: any) to claim at most
--   returns whether there may be more that were released, then for each event its stream id, its fields and how often it
--         was claimed; an error NOGROUP when the group is gone
local consumer = take(1)
local most, bound = numbers(2)
local results, bytes, over = { 0 }, 0, false
local regrouped = tonumber(redis.call('HGET', meta, 'regrouped') or '0')

-- Gives an event back, or takes it: bounds are found out only by reading.
local function accept(entry, claims)
  local id = entry[1]
  local n = tonumber(string.match(id, '^%d+'))
  if n <= regrouped and redis.call('HEXISTS', base .. 'outcome:' .. text(math.floor(n / 64)), n % 64) == 1 then
    redis.call('XACK', events, group, id) -- committed before the group was lost
    return
  end
  if over then
    letgo(id, claims - 1)
    return
  end
  results[#results + 1] = { id, entry[2], claims }
  bytes = bytes + size(entry[2])
  over = bound > 0 and bytes >= bound
end

local free = redis.pcall('XPENDING', events, group, '-', '+', most, 'free')
if free.err then return free end
if #free > 0 then
  local ids, claims = {}, {}
  for _, p in ipairs(free) do
    if p[4] >= 2 then
      letgo(p[1], p[4])
    else
      ids[#ids + 1] = p[1]
      claims[p[1]] = p[4] + 1
    end
  end
  for _, entry in ipairs(ids[1] and redis.call('XCLAIM', events, group, consumer, 0, unpack(ids)) or {}) do
    if entry then accept(entry, claims[entry[1]]) end
  end
end
if #free < most and not over then
  local new = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', most - #free, 'STREAMS', events, '>')
  if new then
    for _, entry in ipairs(new[1][2]) do accept(entry, 1) end
  end
end
if #free == most or over then results[1] = 1 end
return results
