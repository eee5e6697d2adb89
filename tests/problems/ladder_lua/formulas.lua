print(string.format("%d", loadstring("return " .. io.read())()))
