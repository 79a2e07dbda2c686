#!lua flags=allow-oom
-- Records the time for keys that have no signs of life.
--   elapsed  microseconds since this holder last did it; empty: it did not yet
--   returns by how much the clock stepped (microseconds, negative: back)
local elapsed = take(1)
return text(pace(tonumber(elapsed)))
