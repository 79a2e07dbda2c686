#!lua flags=no-writes
-- Returns how much there is in the lists of destinations, and how old it is.
--   dests  the destinations
--   returns the time, then of each destination: 1 if its lists are empty and it is in `dests`, how many deliveries wait, the bytes of their events,
--           how many entries its history and its failures have, and the times of the oldest waiting delivery, dead letter and
--           entry of either history (0: none), 1 if an order has a time for it that no entry has (correct); nothing of one
--           that cannot be read
local function oldest(list)
  return tonumber(redis.call('ZRANGE', base .. list, 0, 0, 'WITHSCORES')[2] or '0')
end
local function first(list)
  local entry = redis.call('XRANGE', base .. list, '-', '+', 'COUNT', 1)[1]
  return entry and tonumber(string.match(entry[1], '^%d+')) or 0
end
-- Whether the newest entry of a list left it, and none came for a minute. The order of a busy list is not worth it.
local function misplaced(list, dest)
  local order, name = orderplace(list, dest)
  local at = tonumber(redis.call('ZSCORE', order, name) or '')
  return at and at < wall - 60 * second and tonumber(newestof(list, dest) or '') ~= at
end
local function ends(dest)
  local waiting, dead, history, failure = oldest('wait:' .. dest), oldest('dead:' .. dest), 0, 0
  local nhistory, nfailures = redis.call('XLEN', base .. 'h:' .. dest), redis.call('XLEN', base .. 'f:' .. dest)
  if nhistory > 0 then history = first('h:' .. dest) end
  if nfailures > 0 then failure = first('f:' .. dest) end
  if history == 0 or failure > 0 and failure < history then history = failure end
  local nwaiting = waiting > 0 and redis.call('ZCARD', base .. 'wait:' .. dest) or 0
  local empty = waiting == 0 and dead == 0 and nhistory == 0 and nfailures == 0
  return { empty and redis.call('SISMEMBER', base .. 'dests', dest) or 0, nwaiting, tonumber(redis.call('HGET', base .. 'waitbytes', dest) or '0'),
    nhistory, nfailures, text(waiting), text(dead), text(history),
    (misplaced('W', dest) or misplaced('X', dest)) and 1 or 0 }
end
local results = { text(wall) }
local ndests = take(1)
for _ = 1, ndests do
  local dest = take(1)
  local read, found = pcall(ends, dest)
  results[#results + 1] = read and found or {}
end
return results
