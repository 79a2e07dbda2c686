#!lua flags=no-writes
-- Returns the time of due times, leases and holds.
return text(now)
