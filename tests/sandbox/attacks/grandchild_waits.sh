# Waits for a grandchild that sleeps beyond the deadline.
# expect=timeout test_s=0.5
(sleep 60 & wait) & wait
