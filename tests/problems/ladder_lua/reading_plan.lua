local n, days = io.read("*n", "*n")
local pages, low, high = {}, 0, 0
for i = 1, n do
  pages[i] = io.read("*n")
  low, high = math.max(low, pages[i]), high + pages[i]
end
while low < high do
  local middle = math.floor((low + high) / 2)
  local needed, today = 1, 0
  for i = 1, n do
    if today + pages[i] > middle then needed, today = needed + 1, 0 end
    today = today + pages[i]
  end
  if needed <= days then high = middle else low = middle + 1 end
end
print(low)
