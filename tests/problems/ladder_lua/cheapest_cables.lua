local n, m = io.read("*n", "*n")
local cables, group, total, joined = {}, {}, 0, 1
for i = 1, m do cables[i] = { io.read("*n", "*n", "*n") } end
table.sort(cables, function(a, b) return a[3] < b[3] end)
for i = 1, n do group[i] = i end
local function find(a)
  while group[a] ~= a do a = group[a] end
  return a
end
for _, cable in ipairs(cables) do
  local a, b = find(cable[1]), find(cable[2])
  if a ~= b then
    group[a] = b
    total, joined = total + cable[3], joined + 1
  end
end
print(joined == n and total or "impossible")
