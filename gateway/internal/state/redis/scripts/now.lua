#!lua flags=no-writes
-- What time it is for due times, leases and holds.
--   ARGV  time
--   returns it
return text(now)
