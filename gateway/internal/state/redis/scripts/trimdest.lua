#!lua flags=allow-oom
-- Bounds one destination's lists: the oldest waiting deliveries become dead letters, dead letters are dropped, history is
-- trimmed.
--   tooold, toomany, toolarge  the reasons of deliveries that exceed the age, number and bytes for waiting
--   waitingage, deadage, ...   the bounds; ages in microseconds; 0: no bound
--   most                       how many at once
--   returns overdue, dead letters dropped, history entries removed, whether more is to be done
local dest, tooold, toomany, toolarge = take(4)
local waitingage, waitingcount, waitingbytes, deadage, historyage, historycount, failurecount, most = numbers(8)
local bounds = { h = historycount, f = failurecount }
local overdue, lost, dropped, ended, more = 0, 0, 0, 0, false

local waits = redis.call('ZCARD', base .. 'wait:' .. dest)
local bytes = tonumber(redis.call('HGET', base .. 'waitbytes', dest) or '0')
-- Leased deliveries are skipped, so that they do not block those after them.
local passed = 0
while overdue + lost < most do
  local oldest = redis.call('ZRANGE', base .. 'wait:' .. dest, passed, passed, 'WITHSCORES')
  if not oldest[2] then break end
  local reason
  if waitingcount > 0 and waits > waitingcount then reason = toomany
  elseif waitingbytes > 0 and bytes > waitingbytes then reason = toolarge
  elseif waitingage > 0 and tonumber(oldest[2]) < wall - waitingage then reason = tooold
  else break end
  local m = oldest[1]
  local n, at = struct.unpack('>I8', m)
  local suffix = string.sub(m, at)
  local kept = redis.call('HGET', owedkey(n), owedfield(n, suffix))
  local o = kept and decoderecord(kept)
  local score = tonumber(redis.call('ZSCORE', base .. 'due:' .. dest, m) or '0')
  if not o then -- it has no record
    redis.call('ZREM', base .. 'due:' .. dest, m)
    redis.call('ZREM', base .. 'wait:' .. dest, m)
    count('waiting', -1)
    touched[dest] = true
    waits, lost = waits - 1, lost + 1
  elseif o.leased == 1 and score > now then
    passed = passed + 1
  else
    removefromlists(o, n, suffix)
    o.state, o.reason, o.leased, o.due, o.updated = 'X', reason, 0, 0, wall
    -- The history entry is the record itself, as scripts cannot encode the form that Go writes.
    local at, seq = enter('h', dest, before(o, n, 'n', dest) .. 'o' .. struct.pack('>s', suffix) .. encoderecord(o))
    o.list, o.at, o.seq, o.where = 'h', at, seq, ''
    redis.call('HSET', owedkey(n), owedfield(n, suffix), encoderecord(o))
    addtolists(o, n, suffix, 0)
    waits, bytes, overdue = waits - 1, bytes - o.size, overdue + 1
  end
end
more = more or overdue + lost == most

if deadage > 0 then
  for _, m in ipairs(redis.call('ZRANGEBYSCORE', base .. 'dead:' .. dest, '-inf', '(' .. text(wall - deadage), 'LIMIT', 0, most)) do
    local n, at = struct.unpack('>I8', m)
    local suffix = string.sub(m, at)
    local kept = redis.call('HGET', owedkey(n), owedfield(n, suffix))
    if kept then
      local o = decoderecord(kept)
      removefromlists(o, n, suffix)
      o.state = 'P'
      redis.call('HSET', owedkey(n), owedfield(n, suffix), encoderecord(o))
      orphan(n)
    else
      redis.call('ZREM', base .. 'dead:' .. dest, m)
      count('dead', -1)
    end
    dropped = dropped + 1
  end
  more = more or dropped == most
end

-- Redis removes whole nodes of a stream with a limit, and single entries only without one. A limit that was not reached leaves
-- less than a node to the second command.
local limit = 8 * most
local function cut(k, how, bound)
  local n = redis.call('XTRIM', k, how, '~', bound, 'LIMIT', limit)
  if n > limit / 2 then more = true else n = n + redis.call('XTRIM', k, how, bound) end
  ended = ended + n
end
for _, list in ipairs({ 'h', 'f' }) do
  local k = base .. list .. ':' .. dest
  if historyage > 0 then cut(k, 'MINID', text(wall - historyage)) end
  if bounds[list] > 0 then cut(k, 'MAXLEN', bounds[list]) end
  if redis.call('EXISTS', k) == 1 and redis.call('XLEN', k) == 0 then redis.call('DEL', k) end
end
touchall()
writecounters()
local names = {}
for i, list in ipairs({ 'wait:', 'dead:', 'h:', 'f:' }) do names[i] = base .. list .. dest end
if redis.call('EXISTS', unpack(names)) == 0 then -- its lists are empty: readers skip it
  redis.call('SREM', base .. 'dests', dest)
  redis.call('HDEL', base .. 'waitbytes', dest)
  redis.call('HDEL', base .. 'deadbytes', dest)
end
if not more then correct(dest) end
return { overdue, dropped, ended, more and 1 or 0 }
