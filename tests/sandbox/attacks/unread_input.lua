-- Reads nothing of a large input.
-- expect=passed input=4000000
print("held")
