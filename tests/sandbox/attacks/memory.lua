-- Fills tables and strings for ever.
-- expect=memory_limit memory_mb=64 test_s=10 program_s=10
local all = {}
for i = 1, 1e9 do all[i] = ("x"):rep(65536) .. i end
