#!lua
-- Adds an item to a capped list (list.lua).
local list, item = take(2)
local most, ttl = numbers(2)
addtolist(list, item, most, ttl)
return 1
