# Takes one byte of a large input and closes it, so that writing to it fails.
# expect=passed input=4000000
head -c 1 >/dev/null
exec <&-
echo held
