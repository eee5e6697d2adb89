local s = io.read():lower():gsub("[^%w]", "")
print(s == s:reverse() and "yes" or "no")
