-- New entries of somebody else's stream for a reader, one by one, until there are enough of them or of their bytes: how
-- large the next one is, only reading it shows.
--   KEYS  stream
--   ARGV  group, consumer, most entries, enough bytes
--   returns the entries, of which the last may be larger than what was left; an error NOGROUP when the group is gone
local most, enough = tonumber(ARGV[3]), tonumber(ARGV[4])
local entries, bytes = {}, 0
while #entries < most and bytes < enough do
  local got = redis.pcall('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', 1, 'STREAMS', KEYS[1], '>')
  if got and got.err then return got end
  if not got or #got == 0 then break end
  local entry = got[1][2][1]
  entries[#entries + 1] = entry
  for _, part in ipairs(entry[2]) do bytes = bytes + #part end
end
return entries
