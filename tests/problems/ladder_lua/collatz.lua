local n = io.read("*n")
local top, steps = n, 0
while n > 1 do
  if n % 2 == 0 then n = n / 2 else n = 3 * n + 1 end
  top = math.max(top, n)
  steps = steps + 1
end
print(steps .. " " .. top)
