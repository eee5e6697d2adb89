-- Recursion without end.
-- expect=runtime_error,memory_limit
local function f(n) return 1 + f(n + 1) end
f(1)
