# Leaves a daemon that puts another program in place of its own while the second test runs.
# expect=passed tests=3
read n
[ "$n" = 0 ] && (setsid sh -c 'sleep 0.1; echo "echo other" > program.sh' >/dev/null 2>&1 &)
[ "$n" = 1 ] && sleep 0.3
echo held
