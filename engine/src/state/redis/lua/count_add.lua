-- KEYS: counter. ARGV: by, milliseconds from the first add, the most. Answers the new count.
local held = redis.call('GET', KEYS[1])
local most = tonumber(ARGV[3])
local count = math.max(-most, math.min(most, (held or 0) + ARGV[1]))
local text = string.format('%.0f', count)
if held then
  redis.call('SET', KEYS[1], text, 'KEEPTTL')
else
  redis.call('SET', KEYS[1], text, 'PX', ARGV[2])
end
return text
