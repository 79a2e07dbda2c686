-- What the scripts share that move deliveries on (change, revise): it stands behind lib.lua in them, and before them.
-- Each delivery is 17 arguments:
--   slot, field, suffix, what was read (empty: nothing was kept of it),
--   link of its history (list, time, sequence, destination), time of its last failure,
--   destination, state, created, microseconds until due, due, reason, tail, list of its history entry (or empty), entry
local function wanted(i)
  return {
    n = tonumber(redis.call('HGET', base .. 'id:' .. ARGV[i], ARGV[i + 1]) or '0'), suffix = ARGV[i + 2], was = ARGV[i + 3],
    dest = ARGV[i + 9], state = ARGV[i + 10], created = tonumber(ARGV[i + 11]), score = now + tonumber(ARGV[i + 12]),
    due = tonumber(ARGV[i + 13]), reason = ARGV[i + 14], tail = ARGV[i + 15], leased = 0, updated = wall,
    list = ARGV[i + 4], at = tonumber(ARGV[i + 5]), seq = tonumber(ARGV[i + 6]), where = ARGV[i + 7], failed = tonumber(ARGV[i + 8]),
    to = string.sub(ARGV[i + 16], 1, 1), entry = string.sub(ARGV[i + 16], 2),
  }
end

-- Whether a delivery can be moved: 1, 0 when somebody has it or its event is gone, -1 when it changed meanwhile.
local function movable(d)
  if d.n == 0 then return 0 end
  local kept = redis.call('HGET', owedkey(d.n), owedfield(d.n, d.suffix)) or ''
  if kept ~= d.was then return -1 end
  if kept ~= '' then
    d.old = unowed(kept)
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
  if d.old then unlisted(d.old, d.n, d.suffix) end
  if d.where == d.dest then d.where = '' end
  if d.to == 'h' or d.to == 'f' then
    local at, seq = enter(d.to, d.dest, before(d, d.n, 'n', d.dest) .. d.entry)
    d.list, d.at, d.seq, d.where = d.to, at, seq, ''
    if d.to == 'f' then d.failed = at end
  end
  redis.call('HSET', owedkey(d.n), owedfield(d.n, d.suffix), owed(d))
  listed(d, d.n, d.suffix, d.score)
  destination(d.dest)
  if d.state ~= 'W' and d.state ~= 'X' then orphan(d.n) end
end
