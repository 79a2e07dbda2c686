#!lua flags=allow-oom
-- Makes due again what a holder was given in calls whose answers were lost: it never heard of it. Such a call gives nothing
-- either where it arrives later.
--   words  the due times that those calls were to write
--   returns how many deliveries were freed
local caller, nwords = take(2)
local words, last = {}, tonumber(redis.call('HGET', base .. 'unheard', caller) or '0')
for _ = 1, nwords do
  local word = numbers(1)
  words[word], last = true, math.max(last, word)
end
redis.call('HSET', base .. 'unheard', caller, text(last))
return unlease(caller, words)
