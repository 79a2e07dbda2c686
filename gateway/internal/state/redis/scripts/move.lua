-- Shared by the scripts that change deliveries (change, revise); inserted after lib.lua.
-- Reads a delivery in its new state:
--   was                     the record that was read; empty: none was kept
--   list, at, seq, where    the link to its newest history entry; at and seq: microseconds and sequence of the entry
--   failed                  when it last failed
--   wait                    microseconds until it is due
--   entry                   empty, or the history list to write to and the entry for it
local function wanted()
  local idslot, idfield, suffix, was, list, where, dest, state, reason, tail, entry = take(11)
  local at, seq, failed, created, wait, due = numbers(6)
  return {
    n = tonumber(redis.call('HGET', base .. 'id:' .. idslot, idfield) or '0'), suffix = suffix, was = was,
    dest = dest, state = state, created = created, score = now + wait, due = due, reason = reason, tail = tail, leased = 0,
    updated = wall, list = list, at = at, seq = seq, where = where, failed = failed,
    to = string.sub(entry, 1, 1), entry = string.sub(entry, 2),
  }
end

-- Whether a delivery can be changed: 1; 0 when it is leased or its event was removed; -1 when it is not as it was read.
local function movable(d)
  if d.n == 0 or iserased(d.n) then return 0 end
  local kept = redis.call('HGET', owedkey(d.n), owedfield(d.n, d.suffix)) or ''
  if kept ~= d.was then return -1 end
  if kept ~= '' then
    d.old = decoderecord(kept)
    local score = d.old.state == 'W' and redis.call('ZSCORE', base .. 'due:' .. d.old.dest, member(d.n, d.suffix))
    if d.old.leased == 1 and score and tonumber(score) > now then return 0 end
    d.size = d.old.size
    return 1
  end
  local all = fields(d.n, string.match(d.dest, '^[^/]*'))
  if not all or redis.call('HEXISTS', base .. 'outcome:' .. text(math.floor(d.n / 64)), d.n % 64) == 0 then return 0 end
  d.size = size(all)
  return 1
end

local function move(d)
  if d.old then removefromlists(d.old, d.n, d.suffix) end
  if d.where == d.dest then d.where = '' end
  if d.to == 'h' or d.to == 'f' then
    local at, seq = enter(d.to, d.dest, before(d, d.n, 'n', d.dest) .. d.entry)
    d.list, d.at, d.seq, d.where = d.to, at, seq, ''
    if d.to == 'f' then d.failed = at end
  end
  redis.call('HSET', owedkey(d.n), owedfield(d.n, d.suffix), encoderecord(d))
  addtolists(d, d.n, d.suffix, d.score)
  destination(d.dest)
  if d.state ~= 'W' and d.state ~= 'X' then orphan(d.n) end
end
