-- KEYS: stream, serial. ARGV: node, sequence, beat (empty: none). Answers the server's time.
-- The serial has no gap unless entries were lost: that is how a reader knows.
local serial = redis.call('INCR', KEYS[2])
redis.call('XADD', KEYS[1], 'MAXLEN', '~', '10000', '*', 'c', serial, 'n', ARGV[1], 's', ARGV[2], 'b', ARGV[3])
return redis.call('TIME')
