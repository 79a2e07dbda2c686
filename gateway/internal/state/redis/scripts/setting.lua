-- Settings are values with a version before them. Versions rise over all settings, so a setting that was removed and made again has
-- another one. They are microseconds of Redis' clock, or continue from a later one, so that a Redis which lost data gives none a
-- second time. Changes are kept by version, so that a watcher that missed a message catches up.

-- The version of a setting; 0: there is none.
local function keptversion(key, name)
  local v = redis.call('HGET', base .. key, name)
  return v and struct.unpack('>I8', v) or 0
end

-- Writes a setting, or removes it (no value), whatever is there. Returns the new version.
local function writesetting(key, name, last, tenant, change, value)
  local t = redis.call('TIME')
  local new = math.max(tonumber(redis.call('GET', base .. 'version') or '0') + 1, t[1] * 1000000 + t[2])
  redis.call('SET', base .. 'version', text(new))
  if value then
    redis.call('HSET', base .. key, name, struct.pack('>I8', new) .. value)
  else
    redis.call('HDEL', base .. key, name)
  end
  redis.call('HSET', base .. last, tenant, text(new))
  redis.call('ZADD', base .. 'changed', text(new), change)
  return new
end

-- Bounds the changes that are kept, and tells watchers that there are new ones.
local function published(maxchanges)
  local over = redis.call('ZCARD', base .. 'changed') - maxchanges
  if over > 0 then
    local removed = redis.call('ZPOPMIN', base .. 'changed', over)
    redis.call('SET', base .. 'forgotten', text(tonumber(removed[#removed])))
  end
  redis.call('PUBLISH', base .. 'changes', '')
end
