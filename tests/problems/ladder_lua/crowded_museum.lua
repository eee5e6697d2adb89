local change = {}
for _ = 1, io.read("*n") do
  local a, b = io.read("*n", "*n")
  change[a] = (change[a] or 0) + 1
  change[b] = (change[b] or 0) - 1
end
local now, most, first = 0, 0, 0
for minute = 0, 1000 do
  now = now + (change[minute] or 0)
  if now > most then most, first = now, minute end
end
print(most .. " " .. first)
