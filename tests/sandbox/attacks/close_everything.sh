# Closes its input and outputs, and stays.
# expect=timeout test_s=0.5
exec <&- >&- 2>&-
sleep 60
