#!lua
-- Writes or removes a setting, if the version is its present one. Versions rise over all settings, so a setting that was
-- removed and made again has another one. They are microseconds of Redis' clock, or continue from a later one, so that a Redis which
-- lost data gives none a second time. Changes are kept by version, so that a watcher that missed a message catches up.
--   key         of the kind's settings
--   last        key of the kind's last changes, by tenant
--   tenant      whose setting it is
--   version     the version that must be present
--   change      what changed, for watchers
--   verb        put, putback or delete; putback writes what was lost, not what was deleted since then
--   maxchanges  how many changes are kept
--   returns the new version, 0 when another version is present, -1 when there is no setting to delete
local key, name, last, tenant, version, change, verb, value, maxchanges = take(9)
local k = base .. key
local v = redis.call('HGET', k, name)
local kept = v and struct.unpack('>I8', v) or 0
if verb == 'delete' and kept == 0 then return -1 end
if text(kept) ~= version then return 0 end
if verb == 'putback' and redis.call('ZSCORE', base .. 'changed', change) then return 0 end
local t = redis.call('TIME')
local new = math.max(tonumber(redis.call('GET', base .. 'version') or '0') + 1, t[1] * 1000000 + t[2])
redis.call('SET', base .. 'version', text(new))
if verb == 'delete' then
  redis.call('HDEL', k, name)
else
  redis.call('HSET', k, name, struct.pack('>I8', new) .. value)
end
redis.call('HSET', base .. last, tenant, text(new))
redis.call('ZADD', base .. 'changed', text(new), change)
local over = redis.call('ZCARD', base .. 'changed') - maxchanges
if over > 0 then
  local removed = redis.call('ZPOPMIN', base .. 'changed', over)
  redis.call('SET', base .. 'forgotten', text(tonumber(removed[#removed])))
end
redis.call('PUBLISH', base .. 'changes', '')
return new
