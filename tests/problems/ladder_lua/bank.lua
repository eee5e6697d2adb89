local coins, refused, names = {}, 0, {}
local function account(name)
  if not coins[name] then
    coins[name] = 0
    names[#names + 1] = name
  end
end
for _ = 1, tonumber(io.read()) do
  local words = {}
  for word in io.read():gmatch("%S+") do words[#words + 1] = word end
  local x = tonumber(words[#words])
  account(words[2])
  if words[1] == "deposit" then
    coins[words[2]] = coins[words[2]] + x
  else
    if words[1] == "transfer" then account(words[3]) end
    if coins[words[2]] < x then
      refused = refused + 1
    else
      coins[words[2]] = coins[words[2]] - x
      if words[1] == "transfer" then coins[words[3]] = coins[words[3]] + x end
    end
  end
end
print(refused)
table.sort(names)
for _, name in ipairs(names) do print(name .. " " .. coins[name]) end
