#!lua
-- Writes or removes a setting, if its version is the one kept. Versions rise over all settings, so that one made again
-- is never taken for the old one; changes are kept by version, so that a watcher that missed a message catches up.
--   ARGV  time, kind's key, name, version expected, what changed (for watchers), 'put' or 'delete', value,
--         most changes that are remembered
--   returns the new version, 0 when it is not the one kept, -1 when there is none to delete
local k, name = base .. ARGV[2], ARGV[3]
local v = redis.call('HGET', k, name)
local kept = v and struct.unpack('>I8', v) or 0
if ARGV[6] == 'delete' and kept == 0 then return -1 end
if text(kept) ~= ARGV[4] then return 0 end
local version = redis.call('INCR', base .. 'version')
if ARGV[6] == 'delete' then
  redis.call('HDEL', k, name)
else
  redis.call('HSET', k, name, struct.pack('>I8', version) .. ARGV[7])
end
redis.call('ZADD', base .. 'changed', version, ARGV[5])
local over = redis.call('ZCARD', base .. 'changed') - tonumber(ARGV[8])
if over > 0 then
  local gone = redis.call('ZPOPMIN', base .. 'changed', over)
  redis.call('SET', base .. 'forgotten', gone[#gone])
end
redis.call('PUBLISH', base .. 'changes', '')
return version
