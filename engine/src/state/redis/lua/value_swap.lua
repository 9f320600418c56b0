-- KEYS: value. ARGV: the version expected (empty: none), the new one, milliseconds, data. Answers whether it was swapped.
-- A value is 16 hex digits of version, then data. Finding the new version in place: this is a retry of what was done.
local held = redis.call('GET', KEYS[1])
local version = held and string.sub(held, 1, 16) or ''
if version == ARGV[2] then
  return 1
end
if version ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2] .. ARGV[4], 'PX', ARGV[3])
return 1
