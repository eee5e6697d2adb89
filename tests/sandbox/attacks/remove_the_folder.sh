# Removes its folder and puts a link in its place during the first test.
# expect=runtime_error tests=2 user=passed
cat >/dev/null
rm -rf /tmp/w && ln -s / /tmp/w
echo held
