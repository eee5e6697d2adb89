# Sleeps beyond its deadline.
# expect=timeout test_s=0.5
exec sleep 60
