# Many children print for ever, and the parent is gone.
# expect=output_limit,wrong_output test_s=5
for i in 1 2 3 4 5 6 7 8; do yes held & done
sleep 3
