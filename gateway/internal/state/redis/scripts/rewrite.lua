#!lua flags=allow-oom
-- Replaces entries of a list of history. The list is written anew, because a stream keeps the bytes of deleted entries.
--   list     the key of the list
--   entries  the entries' ids, and what they shall be
--   returns how many were replaced
local list, nentries = take(2)
local new, done = {}, 0
for _ = 1, nentries do
  local id, value = take(2)
  new[id] = value
end
local from, to = base .. list, base .. 'rewritten'
if redis.call('EXISTS', from) == 0 then return 0 end
local last
local info = redis.call('XINFO', 'STREAM', from)
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then last = info[i + 1] end
end
redis.call('DEL', to)
local at = '-'
while at do
  local some = redis.call('XRANGE', from, at, '+', 'COUNT', 500)
  for _, e in ipairs(some) do
    if new[e[1]] then
      redis.call('XADD', to, e[1], 'd', new[e[1]])
      done = done + 1
    else
      redis.call('XADD', to, e[1], unpack(e[2]))
    end
  end
  at = #some == 500 and '(' .. some[500][1] or nil
end
if redis.call('EXISTS', to) == 0 then return 0 end
redis.call('XSETID', to, last)
redis.call('RENAME', to, from)
return done
