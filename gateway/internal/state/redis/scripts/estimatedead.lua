#!lua flags=allow-oom
-- Estimates the bytes of the events of dead letters that a former version listed, by a sample spread evenly over the list of
-- each destination. From then on they are counted.
--   returns how many destinations were estimated
local samples, estimated = 64, 0
local ndests = take(1)
for _ = 1, ndests do
  local dest = take(1)
  local list = base .. 'dead:' .. dest
  local all = redis.call('ZCARD', list)
  local sum, seen, step = 0, 0, math.max(math.floor(all / samples), 1)
  for rank = 0, all - 1, step do
    local m = redis.call('ZRANGE', list, rank, rank)[1]
    local n, at = struct.unpack('>I8', m)
    local kept = redis.call('HGET', owedkey(n), owedfield(n, string.sub(m, at)))
    if kept then
      sum, seen = sum + decoderecord(kept).size, seen + 1
    end
  end
  if seen > 0 then estimated = estimated + redis.call('HSETNX', base .. 'deadbytes', dest, text(math.floor(sum / seen * all))) end
end
return estimated
