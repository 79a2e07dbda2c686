#!lua flags=allow-oom
-- Writes down what time it is, where nobody gives signs of life.
--   ARGV  time, microseconds since this was last done by who does it (empty: it did not yet)
--   returns by how much the clock stepped (microseconds, negative: back)
return text(pace(tonumber(ARGV[2])))
