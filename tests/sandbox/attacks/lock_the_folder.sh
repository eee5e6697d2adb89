# Takes away all rights to its folder during the first test.
# expect=runtime_error tests=2
cat >/dev/null
echo held
chmod 0 program.sh /tmp/w
