local n = io.read("*n")
local car, pairs_, neighbours = {}, 0, 0
for i = 1, n do
  car[i] = io.read("*n")
  for j = 1, i - 1 do
    if car[j] > car[i] then pairs_ = pairs_ + 1 end
  end
  if i > 1 and car[i - 1] > car[i] then neighbours = neighbours + 1 end
end
print(pairs_ .. " " .. neighbours)
