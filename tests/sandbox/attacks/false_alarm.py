# Claims to be out of memory: a failure all the same.
# expect=memory_limit,runtime_error
# ruff: noqa
print("held")
raise MemoryError
