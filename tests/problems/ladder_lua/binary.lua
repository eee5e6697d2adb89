local n = io.read("*n")
local digits, ones = "", 0
repeat
  digits = n % 2 .. digits
  ones = ones + n % 2
  n = math.floor(n / 2)
until n == 0
print(digits .. " " .. ones)
