# Leaves a message in the access times of the root's files.
# expect=passed root=any user=any
for file in /etc/passwd /usr/bin/luajit /etc/debian_version; do
  before=$(stat -c %X "$file"); sleep 0.01
  cat "$file" >/dev/null; touch -a "$file" 2>/dev/null
  [ "$before" = "$(stat -c %X "$file")" ] || echo "BROKEN: $file"
done
echo held
