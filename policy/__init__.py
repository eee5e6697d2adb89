import logging

# peft imports bitsandbytes, which misses a kernel of a hub on CPUs, and says so in every run.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
