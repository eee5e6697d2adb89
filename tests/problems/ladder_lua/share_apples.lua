local a, c = io.read("*n", "*n")
print(math.floor(a / c))
print(a % c)
