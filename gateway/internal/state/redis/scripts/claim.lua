#!lua flags=allow-oom
-- Claims events for a consumer: first those that were released or whose holder died, then new ones. Suspects are left to
-- claimsuspect.lua. A former version that runs beside this one may release suspects as ordinary events.
--   most, bound  events and bytes (0: any) to claim at most
--   returns 1 if more events may have been released, then for each event its stream ID, its fields and how often it
--         was claimed; an error NOGROUP when the group does not exist
local consumer = take(1)
local most, bound = numbers(2)
local results, bytes, over = { 0 }, 0, false
local regrouped = tonumber(redis.call('HGET', meta, 'regrouped') or '0')

-- Accepts a claimed event, or releases it if the bound is reached: sizes are not known before reading.
local function accept(entry, claims)
  local id = entry[1]
  local n = tonumber(string.match(id, '^%d+'))
  if n <= regrouped and redis.call('HEXISTS', base .. 'outcome:' .. text(math.floor(n / 64)), n % 64) == 1 then
    redis.call('XACK', events, group, id) -- committed before the group was lost
    return
  end
  if over then
    release(id, claims - 1)
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
      release(p[1], p[4])
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
