#!lua flags=no-writes
-- Returns what a shard contains, and since when.
--   returns the time, pending, waiting, dead, events, bytes, when the oldest pending event and the oldest recognised id
--         were received, when the oldest waiting delivery was created (microseconds; 0: none),
--         how often entries of other programs were found in the stream, and when last,
--         by how much the clock stepped (microseconds, negative: back), and its time then (empty: it never stepped)
local m = redis.call('HMGET', meta, 'pending', 'waiting', 'dead', 'events', 'bytes', 'kept', 'keptbytes', 'foreign', 'foreignat', 'share', 'sharebytes', 'step', 'steppedat')
local function n(i) return tonumber(m[i] or '0') end
local function received(entry) return entry and (tonumber(field(entry[2], 'received')) or 0) * 1000 or 0 end
local oldest, first = 0, received(redis.call('XRANGE', events, '-', '+', 'COUNT', 1)[1])
if n(1) > 0 then
  local from = '-'
  local pending = redis.pcall('XPENDING', events, group)
  if not pending.err then
    if pending[1] > 0 then
      from = pending[2]
    else
      for _, g in ipairs(redis.call('XINFO', 'GROUPS', events)) do
        local f = {}
        for i = 1, #g, 2 do f[g[i]] = g[i + 1] end
        if f.name == group then from = '(' .. f['last-delivered-id'] end
      end
    end
  end
  oldest = received(redis.call('XRANGE', events, from, '+', 'COUNT', 1)[1])
end
local id, known = redis.call('LINDEX', base .. 'ids', 0), nil
if id then known = struct.unpack('>I7', id) end
for _, name in ipairs({ 'idage', 'shares' }) do
  local front = redis.call('ZRANGE', base .. name, 0, 0, 'WITHSCORES')
  if front[2] then known = math.min(known or math.huge, tonumber(front[2])) end
end
first = known or first
local waits = 0
if n(2) > 0 then
  for _, dest in ipairs(redis.call('SMEMBERS', base .. 'dests')) do
    local w = redis.call('ZRANGE', base .. 'wait:' .. dest, 0, 0, 'WITHSCORES')
    if w[2] and (waits == 0 or tonumber(w[2]) < waits) then waits = tonumber(w[2]) end
  end
end
return { text(wall), text(n(1)), text(n(2)), text(n(3)), text(n(4) + n(6) + n(10)), text(n(5) + n(7) + n(11)), text(oldest), text(first), text(waits),
  text(n(8)), text(n(9)), m[12] or '', m[13] or '' }
