#!lua flags=allow-oom
-- Adds attempts whose fence was lost to history, as repeats. The delivery does not change.
--   record  of the delivery, for one that has none
--   returns how many were kept
local done = 0
local nrepeats = take(1)
for _ = 1, nrepeats do
  local idslot, idfield, suffix, list, entry, record = take(6)
  local n = tonumber(redis.call('HGET', base .. 'id:' .. idslot, idfield) or '0')
  if n > 0 and not iserased(n) then
    local kept = redis.call('HGET', owedkey(n), owedfield(n, suffix)) or record
    if kept ~= '' then
      local o = decoderecord(kept)
      local at, seq = enter(list, o.dest, before(o, n, 'r', o.dest) .. entry)
      o.list, o.at, o.seq, o.where = list, at, seq, ''
      if list == 'f' then o.failed = at end
      redis.call('HSET', owedkey(n), owedfield(n, suffix), encoderecord(o))
      done = done + 1
    end
  end
end
return done
