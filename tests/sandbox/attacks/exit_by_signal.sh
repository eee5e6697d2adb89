# A right answer, ended by a signal.
# expect=runtime_error
echo held
kill -KILL $$
