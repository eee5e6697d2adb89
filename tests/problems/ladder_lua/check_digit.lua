for _ = 1, tonumber(io.read()) do
  local number = io.read()
  local sum = 0
  for i = 1, 9 do sum = sum + i * number:sub(i, i) end
  local right = sum % 11 == 10 and "X" or tostring(sum % 11)
  print(number:sub(10) == right and "ok" or "wrong " .. right)
end
