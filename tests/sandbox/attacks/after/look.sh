read line
for path in /tmp/* /tmp/.[!.]* /tmp/w/* /tmp/w/.[!.]*; do
  case $path in /tmp/w|/tmp/w/program.sh|*'*') ;; *) echo "found $path" ;; esac
done
for path in /proc/[0-9]*; do case $path in /proc/1|/proc/$$|*'*') ;; *) echo "found $path" ;; esac; done
echo "$line"
