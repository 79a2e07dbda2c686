#!lua flags=allow-oom
-- Replaces cells of statistics, if all of them are as they were read and the batch is not the writer's last one already.
--   number    of the batch
--   oldest    day: names that were last counted before it leave the index
--   most      names in an index
--   namettl, keeps  seconds that an index and the number are kept
--   thing     kind and name
--   period    step and period
--   old, new  a packed count; an empty old one does not exist
--   ttl       seconds
--   returns 1, or 0 when another replica changed something: then nothing was written
local writer, number = take(2)
local oldest, most, namettl, keeps = numbers(4)
local mark = base .. 'stwriter:' .. writer
if redis.call('GET', mark) == number then return 1 end

local names, fresh = {}, {}
local nnames = take(1)
for i = 1, nnames do
  local index, name, day = take(3)
  local k = base .. index
  if not redis.call('ZSCORE', k, name) then
    if not fresh[k] then
      redis.call('ZREMRANGEBYSCORE', k, '-inf', '(' .. text(oldest))
      fresh[k] = redis.call('ZCARD', k)
    end
    fresh[k] = fresh[k] + 1
    if fresh[k] > most then return 0 end
  end
  names[i] = { k, day, name }
end

local cells = {}
local ncells = take(1)
for i = 1, ncells do
  local tenant, thing, period, field, old, new, ttl = take(7)
  local k = base .. 'st:' .. tenant .. ':' .. thing .. ':' .. period
  if (redis.call('HGET', k, field) or '') ~= old then return 0 end
  cells[i] = { k, tenant, period, field, old, new, ttl }
end

for _, n in ipairs(names) do
  redis.call('ZADD', n[1], 'GT', n[2], n[3])
  redis.call('EXPIRE', n[1], namettl)
end
-- About what a cell and a key take beside their own bytes.
local cellsize, keysize = 6, 150
local grown, lives = {}, {}
for _, c in ipairs(cells) do
  local k, tenant, period, field, old, new, ttl = unpack(c)
  local by = #new - #old
  if old == '' then
    by = by + cellsize
    if redis.call('EXISTS', k) == 0 then by = by + keysize + #k end
  end
  redis.call('HSET', k, field, new)
  if old == '' then redis.call('EXPIRE', k, ttl) end
  local of = grown[period]
  if not of then
    of = { [''] = 0 }
    grown[period], lives[period] = of, ttl
  end
  of[tenant], of[''] = (of[tenant] or 0) + by, of[''] + by
end
for period, of in pairs(grown) do
  local k = base .. 'stbytes:' .. period
  for tenant, by in pairs(of) do
    if by ~= 0 then redis.call('HINCRBY', k, tenant, by) end
  end
  redis.call('EXPIRE', k, lives[period])
end
redis.call('SET', mark, number, 'EX', keeps)
return 1
