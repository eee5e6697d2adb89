local x1, y1, x2, y2 = io.read("*n", "*n", "*n", "*n")
print(string.format("%.4f", math.sqrt((x1 - x2) ^ 2 + (y1 - y2) ^ 2)))
