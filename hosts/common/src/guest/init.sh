#!/bin/busybox sh
# The first process of the small Linux guest: devices, drivers, network, then a shell on the console.
export PATH=/bin HOME=/root TERM="${TERM:-linux}" PS1='\w # '
/bin/busybox --install -s /bin

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm /tmp /run /mnt
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /tmp
hostname nomad86

# busybox asks its first process to end the machine by signals.
trap 'sync; poweroff -f' USR1 USR2
trap 'sync; reboot -f' TERM

# Drivers for what is there, by the names that the devices give themselves.
for device in /sys/bus/pci/devices/*/modalias; do
    [ -e "$device" ] && modprobe -q -b "$(cat "$device")"
done
for driver in sd_mod sr_mod; do
    [ -n "$(ls /sys/class/scsi_device 2>/dev/null)" ] && modprobe -q "$driver"
done

ip link set lo up
if [ -e /sys/class/net/eth0 ]; then
    ip link set eth0 up
    # Without an answer it goes on asking in the background.
    udhcpc -i eth0 -b -t 3 -T 1 -s /etc/udhcpc.sh >/tmp/udhcpc.log 2>&1
    ip -4 -o address show dev eth0 | awk '{ print "nomad86: eth0 has " $4 }'
fi

cat /etc/motd
# The host may have something to download: nomad86.web=http://10.0.2.2:PORT/ on the command line.
web=$(sed -n 's/.*nomad86\.web=\([^ ]*\).*/\1/p' /proc/cmdline)
if [ -n "$web" ]; then
    echo "The host has a small web server for you:"
    echo "  wget -O - $web                  a greeting"
    echo "  wget -O /dev/null ${web}data    16 MiB, to see how fast it is"
    echo
fi
echo 'nomad86: ready'
setsid cttyhack sh -l <&0 &
shell=$!
# A signal's trap ends a wait early.
while kill -0 $shell 2>/dev/null; do wait $shell; done
sync
poweroff -f
