#!lua flags=allow-oom
-- Drops dead letters by name: those that retention's bytes end.
--   letters  destination, suffix and number of each
--   returns how many were dropped
local dropped = 0
local nletters = take(1)
for _ = 1, nletters do
  local dest, suffix = take(2)
  local n = numbers(1)
  local kept = redis.call('HGET', owedkey(n), owedfield(n, suffix))
  local o = kept and unowed(kept)
  if o and o.state == 'X' then
    unlisted(o, n, suffix)
    o.state = 'P'
    redis.call('HSET', owedkey(n), owedfield(n, suffix), owed(o))
    orphan(n)
    dropped = dropped + 1
  elseif redis.call('ZREM', base .. 'dead:' .. dest, member(n, suffix)) == 1 then -- it is none, or nothing is known of it
    count('dead', -1)
    dropped = dropped + 1
  end
end
counted()
return dropped
