local n = io.read("*n")
local h, top = {}, 1
for i = 1, n do
  h[i] = io.read("*n")
  top = math.max(top, h[i])
end
for level = top, 1, -1 do
  local line = {}
  for i = 1, n do line[i] = h[i] >= level and "#" or "." end
  print(table.concat(line))
end
