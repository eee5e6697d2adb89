local n = io.read("*n")
local near = {}
for i = 1, n do near[i] = {} end
for _ = 2, n do
  local a, b = io.read("*n", "*n")
  table.insert(near[a], b)
  table.insert(near[b], a)
end
local best, count = 0, 0
for start = 1, n do
  local function walk(hut, from, distance)
    if hut > start then
      if distance > best then best, count = distance, 0 end
      if distance == best then count = count + 1 end
    end
    for _, other in ipairs(near[hut]) do
      if other ~= from then walk(other, hut, distance + 1) end
    end
  end
  walk(start, 0, 0)
end
print(best .. " " .. count)
