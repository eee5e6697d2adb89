local a, b, c = io.read("*n", "*n", "*n")
print(string.format("%.4f", (a + b + c) / 3))
