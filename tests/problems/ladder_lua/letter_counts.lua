local count = {}
for c in io.read():lower():gmatch("%a") do count[c] = (count[c] or 0) + 1 end
for i = 97, 122 do
  local c = string.char(i)
  if count[c] then print(c .. " " .. count[c]) end
end
