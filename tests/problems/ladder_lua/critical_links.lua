local n, m = io.read("*n", "*n")
local links, near = {}, {}
for i = 1, n do near[i] = {} end
for k = 1, m do
  local a, b = io.read("*n", "*n")
  links[k] = { math.min(a, b), math.max(a, b) }
  table.insert(near[a], { b, k })
  table.insert(near[b], { a, k })
end
local critical = {}
for k = 1, m do
  local seen, stack, count = { [1] = true }, { 1 }, 1
  while #stack > 0 do
    for _, step in ipairs(near[table.remove(stack)]) do
      if step[2] ~= k and not seen[step[1]] then
        seen[step[1]] = true
        count = count + 1
        table.insert(stack, step[1])
      end
    end
  end
  if count < n then table.insert(critical, links[k]) end
end
table.sort(critical, function(a, b) return a[1] < b[1] or a[1] == b[1] and a[2] < b[2] end)
print(#critical)
for _, link in ipairs(critical) do print(link[1] .. " " .. link[2]) end
