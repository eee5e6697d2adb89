local code = io.read()
for _ = 1, tonumber(io.read()) do
  local guess = io.read()
  local exact, shared, a, b = 0, 0, {}, {}
  for i = 1, #code do
    local x, y = code:sub(i, i), guess:sub(i, i)
    if x == y then exact = exact + 1 end
    a[x] = (a[x] or 0) + 1
    b[y] = (b[y] or 0) + 1
  end
  for digit, times in pairs(a) do shared = shared + math.min(times, b[digit] or 0) end
  print(exact .. " " .. shared - exact)
end
