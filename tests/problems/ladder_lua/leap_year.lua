local y = io.read("*n")
if y % 4 == 0 and (y % 100 ~= 0 or y % 400 == 0) then print("yes") else print("no") end
