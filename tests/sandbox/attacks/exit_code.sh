# A right answer with an exit status that wraps round.
# expect=runtime_error
echo held
exit 255
