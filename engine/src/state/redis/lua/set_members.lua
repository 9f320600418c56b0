-- KEYS: members by end, members by age. Answers who is there, the oldest first.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local over = {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))) do
  over[member] = true
end
local members = {}
for _, member in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  if not over[member] then
    members[#members + 1] = member
  end
end
return members
