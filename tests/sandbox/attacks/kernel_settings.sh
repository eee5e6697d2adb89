# Writes to the kernel's settings, and leaves its cgroup.
# expect=passed
try() { { echo "$1" > "$2"; } 2>/dev/null && echo "BROKEN: $2"; }
try b /proc/sysrq-trigger
try '|/tmp/w/program' /proc/sys/kernel/core_pattern
try /tmp/w/program /proc/sys/kernel/modprobe
try x /proc/sys/kernel/hostname
try 1 /proc/sys/net/ipv4/ip_forward
try 9999999 /proc/sys/fs/file-max
try -1000 /proc/self/oom_score_adj
try 0 /proc/self/oom_score_adj
try '0 0 1' /proc/self/uid_map
try 3 /proc/1/clear_refs
try 1 /sys/kernel/profiling
try 1 /proc/self/timens_offsets
for folder in /sys/fs/cgroup /sys/fs/cgroup/memory /sys/fs/cgroup/unified; do
  try $$ $folder/cgroup.procs
  mkdir $folder/mine 2>/dev/null && echo "BROKEN: $folder"
done
mount -t cgroup none /tmp 2>/dev/null && echo "BROKEN: mounted"
echo held
