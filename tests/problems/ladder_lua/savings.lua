local coins, p, goal = io.read("*n", "*n", "*n")
local years = 0
while coins < goal do
  coins = coins + math.max(1, math.floor(coins * p / 100))
  years = years + 1
end
print(years .. " " .. coins)
