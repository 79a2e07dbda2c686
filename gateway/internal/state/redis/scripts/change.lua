#!lua flags=allow-oom
-- Moves deliveries on without their event's claim, each if it is still what the caller read and nobody has it.
--   ARGV  time, then for each: slot, field, suffix, what was read (empty: nothing was kept of it),
--         link of its history (list, time, sequence, destination), time of its last failure,
--         destination, state, created, microseconds until due, due, reason, tail, list of its history entry (or empty), entry
--   returns for each 1 when it was moved, 0 when somebody has it or its event is gone, -1 when it changed meanwhile
local results = {}
for i = 2, #ARGV, 17 do
  local suffix, was = ARGV[i + 2], ARGV[i + 3]
  local n = tonumber(redis.call('HGET', base .. 'id:' .. ARGV[i], ARGV[i + 1]) or '0')
  local d = {
    dest = ARGV[i + 9], state = ARGV[i + 10], created = tonumber(ARGV[i + 11]), score = now + tonumber(ARGV[i + 12]),
    due = 0, reason = ARGV[i + 14], tail = ARGV[i + 15], leased = 0, updated = wall,
    list = ARGV[i + 4], at = tonumber(ARGV[i + 5]), seq = tonumber(ARGV[i + 6]), where = ARGV[i + 7], failed = tonumber(ARGV[i + 8]),
  }
  d.due = tonumber(ARGV[i + 13])
  local done = 0
  if n > 0 then
    local kept = redis.call('HGET', owedkey(n), owedfield(n, suffix)) or ''
    if kept ~= was then
      done = -1
    elseif kept ~= '' then
      local old = unowed(kept)
      local score = old.state == 'W' and redis.call('ZSCORE', base .. 'due:' .. old.dest, member(n, suffix))
      if not (old.leased == 1 and score and tonumber(score) > now) then
        unlisted(old, n, suffix)
        d.size, done = old.size, 1
      end
    else
      local all = fields(n, string.match(d.dest, '^[^/]*'))
      if all and redis.call('HEXISTS', base .. 'outcome:' .. text(math.floor(n / 64)), n % 64) == 1 then
        d.size, done = size(all), 1
      end
    end
    if done == 1 then
      if d.where == d.dest then d.where = '' end
      local list, entry = string.sub(ARGV[i + 16], 1, 1), string.sub(ARGV[i + 16], 2)
      if list == 'h' or list == 'f' then
        local at, seq = enter(list, d.dest, before(d, n, 'n', d.dest) .. entry)
        d.list, d.at, d.seq, d.where = list, at, seq, ''
        if list == 'f' then d.failed = at end
      end
      redis.call('HSET', owedkey(n), owedfield(n, suffix), owed(d))
      listed(d, n, suffix, d.score)
      destination(d.dest)
      if d.state ~= 'W' and d.state ~= 'X' then orphan(n) end
    end
  end
  results[#results + 1] = done
end
settled()
counted()
return results
