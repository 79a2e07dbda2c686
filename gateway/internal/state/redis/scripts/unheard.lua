#!lua flags=allow-oom
-- Makes due again what a holder was given in calls whose answers were lost: it never heard of it. Such a call gives nothing
-- either where it arrives later.
--   ARGV  time, holder, the due times that those calls were to write
--   returns how many deliveries were freed
local words, last = {}, tonumber(redis.call('HGET', base .. 'unheard', ARGV[2]) or '0')
for i = 3, #ARGV do
  local word = tonumber(ARGV[i])
  words[word], last = true, math.max(last, word)
end
redis.call('HSET', base .. 'unheard', ARGV[2], text(last))
return unlease(ARGV[2], words)
