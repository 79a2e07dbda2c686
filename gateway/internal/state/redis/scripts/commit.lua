#!lua flags=allow-oom
-- Applies outcomes of events and of due deliveries, each only if its fence holds. It runs also when memory is full, so that
-- accepted events can be completed.
--   ops        operations, each a letter and its arguments:
--     R release of an event
--     B burial of an event that cannot be decoded
--     E outcome of an event
--     F outcome of an event that is a dead letter or gives keys of `once` back
--     D outcome of a due delivery
--   share      the tenant as a part of keys
--   deadat     when the event became a dead letter; 0: it is none
--   list       the history list to write entry to; empty: none
--   size       bytes of the event; -1: to be looked up
--   wait       microseconds until the delivery is due
--   returns for each operation 1 when its fence held, else 0
local results, published = {}, false
local caller, nops = take(2)
holder = caller

-- Whether a delivery of this state has ended: of one that ended with its event, only the history entry is kept.
local function ended(state) return state ~= 'W' and state ~= 'X' end
local function delivery(recorded)
  local state, dest, list, entry = take(4)
  local d = { state = state, dest = dest, to = list, entry = entry, list = '-', at = 0, seq = 0, where = '' }
  if recorded or not ended(state) then
    local suffix, reason, tail = take(3)
    local leased, size, created, wait, due = numbers(5)
    d.suffix, d.reason, d.tail, d.leased, d.size, d.created = suffix, reason, tail, leased, size, created
    d.score, d.due, d.updated, d.failed = now + wait, due, wall, 0
  end
  return d
end

-- The keys of `once` that an operation gives back.
local function free()
  local keys = {}
  local nkeys = take(1)
  for k = 1, nkeys do
    local key, owner = take(2)
    keys[k] = { key, owner }
  end
  return keys
end
local function freed(keys)
  for _, k in ipairs(keys) do
    local v = redis.call('GET', base .. k[1])
    if v and string.sub(v, 8) == k[2] then redis.call('DEL', base .. k[1]) end
  end
end

-- Outcomes are written at the end, with one command for each hash.
local outcomes = {}
local function decided(n, outcome)
  local bucket = math.floor(n / 64)
  local all = outcomes[bucket]
  if not all then
    all = {}
    outcomes[bucket] = all
  end
  all[#all + 1] = n % 64
  all[#all + 1] = outcome
end
local function written()
  for bucket, all in pairs(outcomes) do redis.call('HSET', base .. 'outcome:' .. text(bucket), unpack(all)) end
end

-- Writes a delivery's history entry.
local function apply(d, n)
  if d.to ~= '' then
    local at, seq = enter(d.to, d.dest, before(d, n, 'n', d.dest) .. d.entry)
    d.list, d.at, d.seq, d.where = d.to, at, seq, ''
    if d.to == 'f' then d.failed = at end
  end
end

local function pending(n, idslot, idfield)
  return redis.call('HGET', base .. 'id:' .. idslot, idfield) == n
end

-- Acknowledges an entry that another program wrote in the form of an event: it would be pending for ever.
local function stray(n, slot, place)
  local p = redis.call('XPENDING', events, group, n .. '-0', n .. '-0', 1)[1]
  local all = p and fields(n)
  if not all or isours(n, all) then return end
  local ids, id = idplace(field(all, 'tenant'), field(all, 'id'))
  if ids == base .. 'id:' .. slot and id == place then
    redis.call('XACK', events, group, n .. '-0')
    countforeign()
  end
end

for _ = 1, nops do
  local held = 0
  local op = take(1)
  if op == 'R' then
    local n, idslot, idfield = take(3)
    if pending(n, idslot, idfield) then
      local p = redis.call('XPENDING', events, group, n .. '-0', n .. '-0', 1)[1]
      if p and not isreleased(p[2]) then
        release(p[1], math.max(p[4] - 1, 0))
        held, published = 1, true
      end
    end
  elseif op == 'B' then
    local n, share, outcome = take(3)
    local all = fields(n)
    if redis.call('XACK', events, group, n .. '-0') == 1 then
      held = 1
      decided(tonumber(n), outcome)
      if all and isours(n, all) then
        count('pending', -1)
        if share ~= '' then redis.call('ZADD', base .. 'gone:' .. share, text(wall), n) end
      else
        countforeign()
      end
    end
  elseif op == 'E' or op == 'F' then
    local n, idslot, idfield, outcome, ndeliveries = take(5)
    local holds = pending(n, idslot, idfield) and redis.call('XACK', events, group, n .. '-0') == 1
    local number, links = tonumber(n), {}
    for k = 1, ndeliveries do
      local d = delivery(false)
      if holds then
        apply(d, number)
        if d.list == '-' then
          links[k] = '-'
        else
          links[k] = struct.pack('>c1I7I2', d.list, d.at, d.seq)
        end
        if not ended(d.state) then
          if d.size < 0 then d.size = size(fields(number)) end
          redis.call('HSET', owedkey(number), owedfield(number, d.suffix), encoderecord(d))
          addtolists(d, number, d.suffix, d.score)
          destination(d.dest)
        end
      end
    end
    if holds then
      held = 1
      decided(number, outcome .. table.concat(links))
      count('pending', -1)
    else
      stray(n, idslot, idfield)
    end
    if op == 'F' then
      local share, deadat = take(2)
      local keys = free()
      if holds then
        if deadat ~= '0' then redis.call('ZADD', base .. 'gone:' .. share, deadat, n) end
        freed(keys)
      end
    end
  else
    local idslot, idfield = take(2)
    local lease = numbers(1)
    local keys = free()
    local d = delivery(true)
    local n = tonumber(redis.call('HGET', base .. 'id:' .. idslot, idfield) or '0')
    local kept = n > 0 and redis.call('HGET', owedkey(n), owedfield(n, d.suffix))
    local old = kept and decoderecord(kept)
    if old and old.state == 'W' and old.due == lease then
      held = 1
      removefromlists(old, n, d.suffix)
      d.size, d.created, d.failed = old.size, old.created, old.failed
      d.list, d.at, d.seq, d.where = old.list, old.at, old.seq, old.where
      if d.where == '' and d.list ~= '-' and d.dest ~= old.dest then d.where = old.dest end
      apply(d, n)
      redis.call('HSET', owedkey(n), owedfield(n, d.suffix), encoderecord(d))
      addtolists(d, n, d.suffix, d.score)
      freed(keys)
      if ended(d.state) then orphan(n) end
    end
  end
  results[#results + 1] = held
end
written()
touchall()
writecounters()
if published then redis.call('PUBLISH', base .. 'wake', '') end
return results
