# Ends, while grandchildren hold its outputs open: no reason to wait for them.
# expect=passed test_s=5
setsid sleep 60 &
(sleep 60 &)
echo held
