# Kills its group, and with it whatever else of ours is in it.
# expect=runtime_error,passed tests=3
echo held
kill -KILL 0
