#!lua flags=allow-oom
-- Reserves keys for their owners: the first to ask has it.
--   ARGV  time, how long in microseconds (0: nothing is reserved), then key and owner in turn
--   returns each key's owner; empty where nobody has it
local owners = {}
for i = 3, #ARGV, 2 do
  local k = base .. ARGV[i]
  local v = redis.call('GET', k)
  if v and struct.unpack('>I7', v) > now then
    owners[#owners + 1] = string.sub(v, 8)
  elseif tonumber(ARGV[2]) <= 0 then
    owners[#owners + 1] = ''
  else
    redis.call('SET', k, struct.pack('>I7', now + tonumber(ARGV[2])) .. ARGV[i + 1], 'PX', text(math.ceil(ARGV[2] / 1000)))
    owners[#owners + 1] = ARGV[i + 1]
  end
end
return owners
