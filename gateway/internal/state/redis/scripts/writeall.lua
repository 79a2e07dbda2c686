#!lua
-- Writes settings and items of lists together, if each setting has the version that it must have (setting.lua, list.lua).
--   maxchanges  how many changes are kept
--   verb        put, delete (nothing is done where there is none), ensure (nothing is done where there is one)
--   of          the number of the write whose new version stands between head and tail; 0: the item is head
--   returns the new versions, 0 for what was not written or was removed; or the number of the first write that has another version
local maxchanges, nwrites = take(2)
local writes, versions, changed = {}, {}, false
for i = 1, nwrites do
  local key, name, last, tenant, version, change, verb, value = take(8)
  local kept = keptversion(key, name)
  versions[i] = 0
  if verb == 'delete' and kept == 0 or verb == 'ensure' and kept ~= 0 then
    writes[i] = false
  elseif verb ~= 'ensure' and text(kept) ~= version then
    return i
  else
    writes[i] = { key, name, last, tenant, change, verb ~= 'delete' and value }
  end
end
for i, w in ipairs(writes) do
  if w then
    local new = writesetting(unpack(w))
    if w[6] then versions[i] = new end
    changed = true
  end
end
local nitems = take(1)
for _ = 1, nitems do
  local list, head, tail = take(3)
  local of, most, ttl = numbers(3)
  if of > 0 then head = head .. text(versions[of]) .. tail end
  addtolist(list, head, most, ttl)
end
if changed then published(maxchanges) end
return versions
