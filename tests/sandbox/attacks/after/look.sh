read line
for path in "$TMPDIR"/* "$TMPDIR"/.[!.]* "$TMPDIR"/w/* "$TMPDIR"/w/.[!.]*; do
  case $path in "$TMPDIR"/w|"$TMPDIR"/w/program.sh|*'*') ;; *) echo "found $path" ;; esac
done
# of whoever runs this: another's processes are seen where there is no namespace of their own
for path in /proc/[0-9]*; do
  case $path in /proc/1|/proc/$$|*'*') ;; *) kill -0 "${path#/proc/}" 2>/dev/null && echo "found $path" ;; esac
done
echo "$line"
