#!lua flags=allow-oom
-- Reserves keys for their owners: the first caller owns a key.
--   ttl  microseconds; 0: nothing is reserved
--   returns each key's owner; empty if it has none
local owners = {}
local ttl = numbers(1)
local nkeys = take(1)
for _ = 1, nkeys do
  local key, owner = take(2)
  local k = base .. key
  local v = redis.call('GET', k)
  if v and struct.unpack('>I7', v) > now then
    owners[#owners + 1] = string.sub(v, 8)
  elseif ttl <= 0 then
    owners[#owners + 1] = ''
  else
    redis.call('SET', k, struct.pack('>I7', now + ttl) .. owner, 'PX', text(math.ceil(ttl / 1000)))
    owners[#owners + 1] = owner
  end
end
return owners
