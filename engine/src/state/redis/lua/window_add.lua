-- KEYS: window. ARGV: a slice's microseconds, by, milliseconds to keep, the slices before the present one, the most.
-- Answers the sum of the slices that the window touches. By 0 writes nothing.
local time = redis.call('TIME')
local slice = math.floor((time[1] * 1000000 + time[2]) / ARGV[1])
local oldest = slice - ARGV[4]
local most = tonumber(ARGV[5])
local sum, present = tonumber(ARGV[2]), tonumber(ARGV[2])
local held = redis.call('HGETALL', KEYS[1])
for index = 1, #held, 2 do
  local which, count = tonumber(held[index]), tonumber(held[index + 1])
  if which >= oldest then
    sum = sum + count
    if which == slice then
      present = present + count
    end
  elseif ARGV[2] ~= '0' then
    redis.call('HDEL', KEYS[1], held[index])
  end
end
if ARGV[2] ~= '0' then
  redis.call('HSET', KEYS[1], string.format('%.0f', slice), string.format('%.0f', math.min(most, present)))
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return string.format('%.0f', math.min(most, sum))
