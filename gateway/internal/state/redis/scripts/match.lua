#!lua flags=no-writes
-- Finds out which events match a query, without transferring them.
--   eventtype, source, survey  what an event must have; empty: any
--   returns for each position when it was received in milliseconds, negative if it does not match, 0 if it was removed
local tenant, eventtype, source, survey, npositions = take(5)
local results, share = {}, escaped(tenant)
for _ = 1, npositions do
  local position = numbers(1)
  local all = fields(position, share)
  local at = 0
  if all then
    at = tonumber(field(all, 'received')) or 0
    if field(all, 'tenant') ~= tenant or eventtype ~= '' and field(all, 'type') ~= eventtype
      or source ~= '' and field(all, 'source') ~= source or survey ~= '' and field(all, 'survey') ~= survey then
      at = -at
    end
  end
  results[#results + 1] = text(at)
end
return results
