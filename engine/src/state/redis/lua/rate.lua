-- KEYS: rate. ARGV: the cost as microseconds and parts, the burst as microseconds and parts, parts in a microsecond,
-- whether it costs anything. Answers: allowed, now, and when all is paid back (microseconds, parts).
-- All integers are below 2^53, so that Lua's numbers hold them exactly.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local parts = tonumber(ARGV[5])
local at, part = now, 0
local held = redis.call('GET', KEYS[1])
if held then
  local held_at, held_part, held_parts = string.match(held, '^(%d+) (%d+) (%d+)$')
  held_at, held_part = tonumber(held_at), tonumber(held_part)
  if tonumber(held_parts) ~= parts and held_part > 0 then
    held_at, held_part = held_at + 1, 0
  end
  if held_at >= now then
    at, part = held_at, held_part
  end
end
-- More can't be owed than the burst, unless the clock went back or the limit was lowered.
local most_at, most_part = now + ARGV[3], tonumber(ARGV[4])
if at > most_at or (at == most_at and part > most_part) then
  at, part = most_at, most_part
end
local next_at, next_part = at + ARGV[1], part + ARGV[2]
if next_part >= parts then
  next_at, next_part = next_at + 1, next_part - parts
end
local allowed = next_at < most_at or (next_at == most_at and next_part <= most_part)
if allowed and ARGV[6] == '1' then
  at, part = next_at, next_part
  local text = string.format('%.0f %.0f %.0f', at, part, parts)
  redis.call('SET', KEYS[1], text, 'PX', string.format('%.0f', math.floor((at - now) / 1000) + 2))
end
return {allowed and 1 or 0, string.format('%.0f', now), string.format('%.0f', at), string.format('%.0f', part)}
