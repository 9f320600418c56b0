-- KEYS: claim. ARGV: claimant, milliseconds. Answers: won, until (ms). A claim is `until claimant`.
local held = redis.call('GET', KEYS[1])
if held then
  local split = string.find(held, ' ', 1, true)
  if string.sub(held, split + 1) == ARGV[1] then
    return {1, string.sub(held, 1, split - 1)}
  end
  return {0, '0'}
end
local time = redis.call('TIME')
local ends = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2])
redis.call('SET', KEYS[1], ends .. ' ' .. ARGV[1], 'PX', ARGV[2])
return {1, ends}
