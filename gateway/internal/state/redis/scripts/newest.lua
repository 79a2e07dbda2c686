#!lua flags=no-writes
-- Returns the time of the newest entry of lists that is not newer than a time: a look at each, without its entries.
--   lists  kind, destination (tenant/destination) and the time in microseconds
--   returns for each the time as text, empty if there is none
local results = {}
local nlists = take(1)
for i = 1, nlists do
  local list, dest, upto = take(3)
  results[i] = newestof(list, dest, upto) or ''
end
return results
