-- KEYS: members by end, members by age. ARGV: member, limit, whether the oldest gives way, milliseconds.
-- Answers: what happened (new, already, refused), then who was put out.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))) do
  redis.call('ZREM', KEYS[1], member)
  redis.call('ZREM', KEYS[2], member)
end
local answer = {'new'}
if redis.call('ZSCORE', KEYS[2], ARGV[1]) then
  answer[1] = 'already'
else
  local over = redis.call('ZCARD', KEYS[2]) - ARGV[2] + 1
  if over > 0 then
    if ARGV[3] ~= '1' then
      return {'refused'}
    end
    for _, member in ipairs(redis.call('ZRANGE', KEYS[2], 0, over - 1)) do
      redis.call('ZREM', KEYS[1], member)
      redis.call('ZREM', KEYS[2], member)
      answer[#answer + 1] = member
    end
  end
  local youngest = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
  redis.call('ZADD', KEYS[2], string.format('%.0f', (youngest[2] or 0) + 1), ARGV[1])
end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[4]), ARGV[1])
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
local ends = string.format('%.0f', last[2] + 1)
redis.call('PEXPIREAT', KEYS[1], ends)
redis.call('PEXPIREAT', KEYS[2], ends)
return answer
