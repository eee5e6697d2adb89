-- Prints byte by byte, without a buffer.
-- expect=wrong_output test_s=8 program_s=10
io.stdout:setvbuf("no")
for _ = 1, 300000 do io.write("x") end
