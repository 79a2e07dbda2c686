#!lua flags=allow-oom
-- Writes down what time it is, where nobody gives signs of life.
--   elapsed  microseconds since this holder last did it; empty: it did not yet
--   returns by how much the clock stepped (microseconds, negative: back)
local elapsed = take(1)
return text(pace(tonumber(elapsed)))
