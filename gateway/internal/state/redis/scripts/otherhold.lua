-- Shared by the scripts that replace or remove a hold; inserted after lib.lua.
-- Whether a destination has a hold in force whose record is not `over`.
local function otherhold(dest, over)
  local stands = redis.call('HGET', base .. 'holds', dest)
  if not stands or string.sub(stands, 8) == over then return false end
  local ends = struct.unpack('>I7', stands)
  return ends == 0 or ends > now
end
