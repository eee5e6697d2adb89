# Ignores being ended, and stops.
# expect=timeout test_s=0.5
trap '' TERM INT HUP CHLD
kill -STOP $$
