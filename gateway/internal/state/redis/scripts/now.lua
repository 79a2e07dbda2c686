#!lua flags=no-writes
-- What time it is for due times, leases and holds.
--   returns it
return text(now)
