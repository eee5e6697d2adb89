local k = io.read("*n", "*l")
local text = io.read()
print((text:gsub("%a", function(c)
  local first = c:match("%l") and 97 or 65
  return string.char((c:byte() - first + k) % 26 + first)
end)))
