#!lua flags=allow-oom
-- Keeps attempts made behind a lost fence: they enter history as repeats, and the delivery stays as it is.
--   record  of the delivery, which is used where none is kept
--   returns how many were kept
local done = 0
local nrepeats = take(1)
for _ = 1, nrepeats do
  local idslot, idfield, suffix, list, entry, record = take(6)
  local n = tonumber(redis.call('HGET', base .. 'id:' .. idslot, idfield) or '0')
  if n > 0 then
    local kept = redis.call('HGET', owedkey(n), owedfield(n, suffix)) or record
    if kept ~= '' then
      local o = unowed(kept)
      local at, seq = enter(list, o.dest, before(o, n, 'r', o.dest) .. entry)
      o.list, o.at, o.seq, o.where = list, at, seq, ''
      if list == 'f' then o.failed = at end
      redis.call('HSET', owedkey(n), owedfield(n, suffix), owed(o))
      done = done + 1
    end
  end
end
return done
