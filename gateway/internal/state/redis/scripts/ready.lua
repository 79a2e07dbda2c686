#!lua flags=no-writes
-- Returns a page of the destinations that can be served now, those that wait longest first, and how much is due for each. A
-- caller without capacity for them asks for the next page. All pages together are a pass, which ends with the destinations
-- that were ready when it began.
--   began, score, last  when the pass began, and score and name of the last destination of the page before; empty for
--                       the first page of a pass
--   returns the time, the time of the next service after it (or empty), when the pass began, score and name of the last
--           destination (empty: the pass is over), then destination and number by turns
local most, began, score, last = take(4)
local queue, till, from = base .. 'service', tonumber(began) or now, 0
if last ~= '' then
  -- The destination may have moved or left the queue since.
  if redis.call('ZSCORE', queue, last) == score then
    from = redis.call('ZRANK', queue, last) + 1
  else
    from = redis.call('ZCOUNT', queue, '-inf', '(' .. score)
  end
end
local next = redis.call('ZRANGEBYSCORE', queue, '(' .. text(now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local results = { text(now), next[2] or '', text(till), '', '' }
local some = redis.call('ZRANGE', queue, from, from + most - 1, 'WITHSCORES')
for i = 1, #some, 2 do
  if tonumber(some[i + 1]) > till then return results end
  results[#results + 1] = some[i]
  results[#results + 1] = redis.call('ZCOUNT', base .. 'due:' .. some[i], '-inf', text(now))
end
if #some == 2 * most then results[4], results[5] = some[#some], some[#some - 1] end
return results
