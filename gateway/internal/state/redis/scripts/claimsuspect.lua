#!lua flags=allow-oom
-- Claims one suspect for a consumer: the one with the fewest claims, and of several the oldest.
--   returns nothing, or the event's stream id, its fields and how often it was claimed; an error NOGROUP when the group
--           does not exist
local consumer = take(1)
local regrouped = tonumber(redis.call('HGET', meta, 'regrouped') or '0')
while true do
  local all = redis.pcall('XPENDING', events, group, '-', '+', 256, 'suspect')
  if all.err then return all end
  local next = all[1]
  if not next then return {} end
  for _, p in ipairs(all) do
    if p[4] < next[4] then next = p end
  end
  local id = next[1]
  local n = tonumber(string.match(id, '^%d+'))
  local entry = redis.call('XCLAIM', events, group, consumer, 0, id)[1]
  if not entry then
    redis.call('XACK', events, group, id) -- it was deleted from the stream
  elseif n <= regrouped and redis.call('HEXISTS', base .. 'outcome:' .. text(math.floor(n / 64)), n % 64) == 1 then
    redis.call('XACK', events, group, id) -- committed before the group was lost
  else
    return { id, entry[2], next[4] + 1 }
  end
end
