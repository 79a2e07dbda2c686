#!lua flags=allow-oom
-- Applies outcomes of events and of due deliveries, each only if its fence holds, in one step. It works when memory is
-- full: what was accepted must be able to end.
--   ARGV  time, holder, then operations:
--     R release: position, slot, field
--     B burial of what cannot be read: position, tenant, outcome
--     E event: position, slot, field, outcome, number of deliveries, those
--     F event that is a dead letter or gives keys of once back: position, slot, field, outcome, number of deliveries,
--       those, tenant, dead at (0: it is not), keys of once
--     D due delivery: slot, field, lease, keys of once, one delivery
--   keys of once are a number, then key and owner of each
--   a delivery is: state, destination, list of its history entry (or empty), entry; and unless an event's ended with it:
--         suffix, leased, size (-1: as it is), created, microseconds until due, due, reason, tail
--   returns for each operation whether its fence held
local results, i, published = {}, 3, false
holder = ARGV[2]

-- One that ended with its event leaves no more than its entry in history.
local function ended(state) return state ~= 'W' and state ~= 'X' end
local function delivery(whole)
  local d = {
    state = ARGV[i], dest = ARGV[i + 1], to = ARGV[i + 2], entry = ARGV[i + 3], list = '-', at = 0, seq = 0, where = '',
  }
  i = i + 4
  if whole or not ended(d.state) then
    d.suffix, d.leased, d.size, d.created = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
    d.score, d.due = now + tonumber(ARGV[i + 4]), tonumber(ARGV[i + 5])
    d.reason, d.tail, d.updated, d.failed = ARGV[i + 6], ARGV[i + 7], wall, 0
    i = i + 8
  end
  return d
end

local function free()
  local keys = {}
  local n = tonumber(ARGV[i])
  for k = i + 1, i + 2 * n, 2 do keys[#keys + 1] = { ARGV[k], ARGV[k + 1] } end
  i = i + 1 + 2 * n
  return keys
end
local function freed(keys)
  for _, k in ipairs(keys) do
    local v = redis.call('GET', base .. k[1])
    if v and string.sub(v, 8) == k[2] then redis.call('DEL', base .. k[1]) end
  end
end

-- Outcomes are written at the end, those that are kept together at once.
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

local function pending(n, slot, field)
  return redis.call('HGET', base .. 'id:' .. slot, field) == n
end

-- An entry that somebody else wrote, which reads like an event of ours, is no event: it is acknowledged, or it would be
-- pending for ever.
local function stray(n, slot, place)
  local p = redis.call('XPENDING', events, group, n .. '-0', n .. '-0', 1)[1]
  local all = p and fields(n)
  if not all or ours(n, all) then return end
  local ids, id = idplace(field(all, 'tenant'), field(all, 'id'))
  if ids == base .. 'id:' .. slot and id == place then
    redis.call('XACK', events, group, n .. '-0')
    foreign()
  end
end

while i <= #ARGV do
  local op, held = ARGV[i], 0
  if op == 'R' then
    local n, slot, field = ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
    i = i + 4
    if pending(n, slot, field) then
      local p = redis.call('XPENDING', events, group, n .. '-0', n .. '-0', 1)[1]
      if p and not letgone(p[2]) then
        letgo(p[1], math.max(p[4] - 1, 0))
        held, published = 1, true
      end
    end
  elseif op == 'B' then
    local n, tenant, outcome = ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
    i = i + 4
    local all = fields(n)
    if redis.call('XACK', events, group, n .. '-0') == 1 then
      held = 1
      decided(tonumber(n), outcome)
      if all and ours(n, all) then
        count('pending', -1)
        if tenant ~= '' then redis.call('ZADD', base .. 'gone:' .. tenant, text(wall), n) end
      else
        foreign()
      end
    end
  elseif op == 'E' or op == 'F' then
    local n, slot, field, outcome, deliveries = ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], tonumber(ARGV[i + 5])
    i = i + 6
    local holds = pending(n, slot, field) and redis.call('XACK', events, group, n .. '-0') == 1
    local number, links = tonumber(n), {}
    for k = 1, deliveries do
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
          redis.call('HSET', owedkey(number), owedfield(number, d.suffix), owed(d))
          listed(d, number, d.suffix, d.score)
          destination(d.dest)
        end
      end
    end
    if holds then
      held = 1
      decided(number, outcome .. table.concat(links))
      count('pending', -1)
    else
      stray(n, slot, field)
    end
    if op == 'F' then
      local tenant, dead = ARGV[i], ARGV[i + 1]
      i = i + 2
      local keys = free()
      if holds then
        if dead ~= '0' then redis.call('ZADD', base .. 'gone:' .. tenant, dead, n) end
        freed(keys)
      end
    end
  else
    local slot, field, lease = ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
    i = i + 4
    local keys = free()
    local d = delivery(true)
    local n = tonumber(redis.call('HGET', base .. 'id:' .. slot, field) or '0')
    local kept = n > 0 and redis.call('HGET', owedkey(n), owedfield(n, d.suffix))
    local old = kept and unowed(kept)
    if old and old.state == 'W' and old.due == lease then
      held = 1
      unlisted(old, n, d.suffix)
      d.size, d.created, d.failed = old.size, old.created, old.failed
      d.list, d.at, d.seq, d.where = old.list, old.at, old.seq, old.where
      if d.where == '' and d.list ~= '-' and d.dest ~= old.dest then d.where = old.dest end
      apply(d, n)
      redis.call('HSET', owedkey(n), owedfield(n, d.suffix), owed(d))
      listed(d, n, d.suffix, d.score)
      freed(keys)
      if ended(d.state) then orphan(n) end
    end
  end
  results[#results + 1] = held
end
written()
settled()
counted()
if published then redis.call('PUBLISH', base .. 'wake', '') end
return results
