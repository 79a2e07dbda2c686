#!lua flags=allow-oom
-- Drops dead letters that exceed the bytes of retention.
--   letters  destination, suffix and number of each
--   returns how many were dropped
local dropped = 0
local nletters = take(1)
for _ = 1, nletters do
  local dest, suffix = take(2)
  local n = numbers(1)
  local kept = redis.call('HGET', owedkey(n), owedfield(n, suffix))
  local o = kept and decoderecord(kept)
  if o and o.state == 'X' then
    removefromlists(o, n, suffix)
    o.state = 'P'
    redis.call('HSET', owedkey(n), owedfield(n, suffix), encoderecord(o))
    orphan(n)
    dropped = dropped + 1
  elseif redis.call('ZREM', base .. 'dead:' .. dest, member(n, suffix)) == 1 then -- it is no dead letter, or has no record
    count('dead', -1)
    dropped = dropped + 1
  end
end
writecounters()
return dropped
