# Looks for the host's files, users, mounts and processes.
# expect=passed user=wrong_output
cat /etc/shadow /etc/gshadow /etc/sudoers 2>/dev/null && echo "BROKEN: shadow"
for path in /root/.ssh /root/.cache /root/.bashrc /home/* /work /var/lib/docker /run/docker.sock /var/run/secrets /sys/fs /boot/*; do
  ls -d $path/. >/dev/null 2>&1 && echo "BROKEN: $path"
done
# the server's own /proc lies covered below the program's
grep ' rw[, ]' /proc/mounts | grep -v -e '^tmpfs /tmp tmpfs' -e '^none /proc proc' && echo "BROKEN: writable mounts"
[ $(ls -d /proc/[0-9]* | wc -l) -le 8 ] || echo "BROKEN: processes"
[ ! -e /proc/net/unix ] || [ $(wc -l < /proc/net/unix) = 1 ] || echo "BROKEN: sockets of others"
[ ! -e /proc/net/tcp ] || [ $(wc -l < /proc/net/tcp) = 1 ] || echo "BROKEN: connections of others"
echo held
