# A child prints the right answer after the program has ended.
# expect=wrong_output
(sleep 0.3; echo held) &
exit 0
