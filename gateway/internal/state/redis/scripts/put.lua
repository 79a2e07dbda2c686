#!lua
-- Writes or removes a setting, if the version is its present one (setting.lua).
--   key         of the kind's settings
--   last        key of the kind's last changes, by tenant
--   tenant      whose setting it is
--   version     the version that must be present
--   change      what changed, for watchers
--   verb        put, putback or delete; putback writes what was lost, not what was deleted since then
--   maxchanges  how many changes are kept
--   returns the new version, 0 when another version is present, -1 when there is no setting to delete
local key, name, last, tenant, version, change, verb, value, maxchanges = take(9)
local kept = keptversion(key, name)
if verb == 'delete' and kept == 0 then return -1 end
if text(kept) ~= version then return 0 end
if verb == 'putback' and redis.call('ZSCORE', base .. 'changed', change) then return 0 end
local new = writesetting(key, name, last, tenant, change, verb ~= 'delete' and value)
published(maxchanges)
return new
