-- More than a million lines.
-- expect=wrong_output
io.write(("\n"):rep(1200000), "held\n", ("x\n"):rep(1200000))
