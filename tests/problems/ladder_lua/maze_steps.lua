local h, w = io.read("*n", "*n", "*l")
local row, queue, steps = {}, {}, {}
for i = 1, h do
  row[i] = io.read()
  local j = row[i]:find("S")
  if j then
    queue[1] = { i, j }
    steps[i * 100 + j] = 0
  end
end
local at = 1
while queue[at] do
  local i, j = unpack(queue[at])
  if row[i]:sub(j, j) == "E" then
    print(steps[i * 100 + j])
    return
  end
  for _, d in ipairs({ { 0, 1 }, { 1, 0 }, { 0, -1 }, { -1, 0 } }) do
    local a, b = i + d[1], j + d[2]
    if a >= 1 and a <= h and b >= 1 and b <= w and row[a]:sub(b, b) ~= "#" and not steps[a * 100 + b] then
      steps[a * 100 + b] = steps[i * 100 + j] + 1
      queue[#queue + 1] = { a, b }
    end
  end
  at = at + 1
end
print("impossible")
