-- One line of three megabytes.
-- expect=wrong_output
print(("held"):rep(750000))
