#!/bin/sh
# The whole userland of Shoal's small test guest: process 1 of a kernel with a busybox and a few modules.
#
# Kernel command line: shoal.name=NAMESPACE/NAME
#                      shoal.ip=ADDRESS/PREFIX[,ADDRESS/PREFIX...]   one for each NIC in PCI order; - for none
#                      shoal.ping=ADDRESS[,ADDRESS...]               pinged until they answer, once ready
# Serial line ttyS0:   SHOAL-GUEST READY NAMESPACE/NAME, then answers to the commands of `obey` below.
# TCP port 7777:       NAMESPACE/NAME, to whoever connects.

export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
echo 1 > /proc/sys/kernel/printk # from here on the serial line is ours alone

exec < /dev/ttyS0 > /dev/ttyS0 2> /dev/null
stty -echo -onlcr

name=unnamed
addresses=
pings=
for word in $(cat /proc/cmdline); do
	case $word in
	shoal.name=*) name=${word#shoal.name=} ;;
	shoal.ip=*) addresses=${word#shoal.ip=} ;;
	shoal.ping=*) pings=${word#shoal.ping=} ;;
	esac
done
hostname "${name##*/}"
echo "$name" > /identity

for module in $(cat /lib/modules/order); do
	insmod "/lib/modules/$module"
done

# The kernel numbers NICs as their drivers load; people number them as the VM's configuration lists them.
nics_in_pci_order() {
	for link in /sys/class/net/*; do
		[ -e "$link/device" ] && echo "$(readlink -f "$link")"
	done | sort | sed 's,.*/,,'
}

ip link set lo up
rest=$addresses
for nic in $(nics_in_pci_order); do
	address=${rest%%,*}
	case $rest in
	*,*) rest=${rest#*,} ;;
	*) rest= ;;
	esac
	ip link set "$nic" up
	case $address in
	'' | -) ;;
	*) ip addr add "$address" dev "$nic" ;;
	esac
done

nc -ll -p 7777 -e cat /identity < /dev/null > /dev/null &

# An address that nobody has costs 3 s (the kernel asks for it three times); the limits are for busy hosts.
ask() {
	if answer=$(timeout 6 nc -w 5 "$1" 7777 < /dev/null) && [ -n "$answer" ]; then
		echo "ANSWER $1 $answer"
	else
		echo "NOANSWER $1"
	fi
}

reach() { # ADDRESS TRIES
	tries=$2
	while [ "$tries" -gt 0 ]; do
		if ping -q -c 1 -W 3 "$1" > /dev/null; then
			echo "PONG $1"
			return
		fi
		tries=$((tries - 1))
	done
	echo "NOPONG $1"
}

# Slow commands run beside each other, so that a dozen of them take as long as one.
obey() {
	case $1 in
	'') ;;
	ask) ask "$2" & ;;
	ping) reach "$2" 1 & ;;
	uptime)
		read -r up _ < /proc/uptime
		echo "UPTIME ${up%%.*}"
		;;
	poweroff)
		echo POWEROFF
		poweroff -f
		;;
	*) echo "UNKNOWN $1" ;;
	esac
}

echo "SHOAL-GUEST READY $name"
for address in $(echo "$pings" | tr , ' '); do
	reach "$address" 60 &
done
while :; do
	# A closed line (the kernel hangs up a tty at its own will) must not end process 1.
	if read -r command argument; then
		obey "$command" "$argument"
	else
		sleep 1
	fi
done
