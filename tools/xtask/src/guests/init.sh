#!/bin/busybox sh
# The first process of the test guest: mounts, loads modules, then gives a shell.
/bin/busybox --install -s
export PATH=/sbin:/usr/sbin:/bin:/usr/bin HOME=/root TERM="${TERM:-linux}"
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /tmp
exec </dev/console >/dev/console 2>&1

while read -r module; do
    insmod "/lib/modules/$module.ko" || echo "guest: cannot load the module $module"
done </etc/modules

cd /root
echo "guest: Linux $(uname -r) with $(nproc) CPUs is up"

# A command of the kernel's command line: bulkhead.run="WORDS", or one word without quotes.
command=$(sed -n 's/.*bulkhead\.run="\([^"]*\)".*/\1/p' /proc/cmdline)
if [ -z "$command" ]; then
    command=$(sed -n 's/.*bulkhead\.run=\([^ "]*\).*/\1/p' /proc/cmdline)
fi
if [ -n "$command" ]; then
    sh -c "$command"
    echo "guest: command ended with $?"
else
    echo "guest: type commands; \`exit\` turns the machine off"
    PS1='guest# ' setsid cttyhack sh
fi
poweroff -f
