-- Prints for ever.
-- expect=output_limit test_s=5
while true do print("held") end
