# Leaves files and sockets wherever it can, for the next program to find.
# expect=passed
for folder in / /tmp /tmp/w /dev/shm /var/tmp /run /run/lock /home /root /w . "$HOME" "$TMPDIR"; do
  { echo secret > "$folder/left"; } 2>/dev/null
  mkfifo "$folder/fifo" 2>/dev/null
done
find / -xdev -type d 2>/dev/null | while read folder; do
  { echo secret > "$folder/left"; } 2>/dev/null && case $folder in /tmp|/tmp/*) ;; *) echo "BROKEN: $folder" ;; esac
done
echo held
