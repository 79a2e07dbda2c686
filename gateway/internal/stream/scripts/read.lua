-- Reads new entries of a stream for a consumer, one by one, until there are enough of them or of their bytes: the size of
-- an entry is not known before it is read.
--   KEYS  stream
--   ARGV  group, consumer, most entries, enough bytes
--   returns the entries, of which the last may exceed the bytes; an error NOGROUP when the group does not exist
local stream, group, consumer, most, enough = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local entries, bytes = {}, 0
while #entries < most and bytes < enough do
  local got = redis.pcall('XREADGROUP', 'GROUP', group, consumer, 'COUNT', 1, 'STREAMS', stream, '>')
  if got and got.err then return got end
  if not got or #got == 0 then break end
  local entry = got[1][2][1]
  entries[#entries + 1] = entry
  for _, part in ipairs(entry[2]) do bytes = bytes + #part end
end
return entries
