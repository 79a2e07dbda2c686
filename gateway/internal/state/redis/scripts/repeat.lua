#!lua flags=allow-oom
-- Keeps attempts made behind a lost fence: they enter history as repeats, and the delivery stays as it is.
--   ARGV  time, then for each: slot, field, suffix, list of the entry, entry, and the record of the delivery, which is
--         used where none is kept
--   returns how many were kept
local done = 0
for i = 2, #ARGV, 6 do
  local suffix, list = ARGV[i + 2], ARGV[i + 3]
  local n = tonumber(redis.call('HGET', base .. 'id:' .. ARGV[i], ARGV[i + 1]) or '0')
  if n > 0 then
    local kept = redis.call('HGET', owedkey(n), owedfield(n, suffix)) or ARGV[i + 5]
    if kept ~= '' then
      local o = unowed(kept)
      local at, seq = enter(list, o.dest, before(o, n, 'r', o.dest) .. ARGV[i + 4])
      o.list, o.at, o.seq, o.where = list, at, seq, ''
      if list == 'f' then o.failed = at end
      redis.call('HSET', owedkey(n), owedfield(n, suffix), owed(o))
      done = done + 1
    end
  end
end
return done
