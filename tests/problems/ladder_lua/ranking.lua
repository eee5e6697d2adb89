local people = {}
for i = 1, tonumber(io.read()) do
  local name, points = io.read():match("(%S+) (%d+)")
  people[i] = { name = name, points = tonumber(points) }
end
table.sort(people, function(a, b)
  if a.points ~= b.points then return a.points > b.points end
  return a.name < b.name
end)
local rank = 1
for i, person in ipairs(people) do
  if i > 1 and person.points < people[i - 1].points then rank = i end
  print(rank .. " " .. person.name .. " " .. person.points)
end
