local line = io.read("*l")
local found = io.popen("ls -A /tmp /tmp/w"):read("*a")
if found ~= "/tmp:\nw\n\n/tmp/w:\nprogram.lua\n" then print("found", found) end
print(line)
