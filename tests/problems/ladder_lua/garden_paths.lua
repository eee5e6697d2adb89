local h, w = io.read("*n", "*n", "*l")
local ways = {}
for j = 0, w do ways[j] = 0 end
ways[1] = 1
for _ = 1, h do
  local row = io.read()
  for j = 1, w do
    if row:sub(j, j) == "#" then ways[j] = 0 else ways[j] = (ways[j] + ways[j - 1]) % 1000007 end
  end
end
print(ways[w])
