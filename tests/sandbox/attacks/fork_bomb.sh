# The shell's classic.
# expect=any test_s=0.7
f() { f | f & }
f
sleep 5
