local a = io.read()
local b = io.read()
print(b)
print(a)
