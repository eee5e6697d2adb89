local function pile()
  local p = { first = 1, last = io.read("*n") }
  for i = 1, p.last do p[i] = io.read("*n") end
  return p
end
local function size(p) return p.last - p.first + 1 end
local function put(p, card)
  p.last = p.last + 1
  p[p.last] = card
end
local one, two = pile(), pile()
local rounds = 0
while size(one) > 0 and size(two) > 0 and rounds < 500 do
  local a, b = one[one.first], two[two.first]
  one.first, two.first = one.first + 1, two.first + 1
  if a > b then
    put(one, a)
    put(one, b)
  elseif b > a then
    put(two, b)
    put(two, a)
  end
  rounds = rounds + 1
end
local winner = "nobody"
if size(one) > 0 and size(two) == 0 then winner = "first" end
if size(two) > 0 and size(one) == 0 then winner = "second" end
print(winner .. " " .. rounds)
