#!lua flags=no-writes
-- Says which events fit a query, without moving them out of Redis.
--   ARGV  empty, tenant, type, source, survey (empty: any), positions
--   returns for each position when it was received in milliseconds, negative where it does not fit, 0 where it is gone
local results, tenant = {}, escaped(ARGV[2])
for i = 6, #ARGV do
  local all = fields(tonumber(ARGV[i]), tenant)
  local at = 0
  if all then
    at = tonumber(field(all, 'received')) or 0
    if field(all, 'tenant') ~= ARGV[2] or ARGV[3] ~= '' and field(all, 'type') ~= ARGV[3]
      or ARGV[4] ~= '' and field(all, 'source') ~= ARGV[4] or ARGV[5] ~= '' and field(all, 'survey') ~= ARGV[5] then
      at = -at
    end
  end
  results[#results + 1] = text(at)
end
return results
