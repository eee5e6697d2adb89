local n, w = io.read("*n", "*n")
local best = {}
for room = 0, w do best[room] = 0 end
for _ = 1, n do
  local weight, value = io.read("*n", "*n")
  for room = w, weight, -1 do best[room] = math.max(best[room], best[room - weight] + value) end
end
print(best[w])
