local n, r, d = io.read("*n", "*n", "*n")
local place = { [0] = 0 }
for i = 1, n do place[i] = io.read("*n") end
place[n + 1] = d
local at, stops = 0, 0
while place[at] + r < d do
  local to = at
  while to < n and place[to + 1] <= place[at] + r do to = to + 1 end
  if to == at then
    print("impossible")
    return
  end
  at, stops = to, stops + 1
end
print(stops)
