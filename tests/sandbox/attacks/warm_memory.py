# Fills the memory with processes of the runtime's size, so that the kernel looks for one to kill.
# expect=memory_limit,runtime_error,wrong_output tests=2 memory_mb=64
import os
import time

for _ in range(40):
    if not os.fork():
        block = bytearray(6 << 20)
        for i in range(0, len(block), 4096):
            block[i] = 1
        time.sleep(5)
        os._exit(0)
block = bytearray(200 << 20)
print("survived")
