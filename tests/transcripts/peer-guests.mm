# Drives, mirrors and settings of running VMs, in the peer's own words.
namespace peer
ns del-hosts all
ns add-hosts mm[1-2]
vm config net LAN
vm config schedule mm1
vm launch kvm a,b
vm config schedule mm2
vm launch kvm c

# mirrors
tap mirror a 1 b 0
tap mirror a 0 b 1
tap mirror a 0 nobody 0
tap mirror a 0 c 0
tap mirror a 0 b 0
clear tap mirror b 0
clear tap mirror b 0

# drives: one VM alone is not named before what is wrong with it
vm hotplug
vm hotplug remove a 0
vm hotplug remove a all
vm hotplug remove a[1-2] 0
vm hotplug remove all 0
vm hotplug remove all all
vm hotplug remove a x
vm hotplug remove a,b 0
vm cdrom eject a
vm cdrom eject a,b
vm cdrom eject all

# QEMU's monitor
vm start a
vm qmp a '{ "execute": "query-status" }'
vm stop a
vm qmp a '{ "execute": "query-status" }'
vm qmp nobody '{ "execute": "query-status" }'
vm top one
vm screenshot a file x.png big

# commands for hosts
ns hosts
ns add-hosts nobody
host name
host vms
host vmlimit
mesh send mm1 host name
mesh send mm[0-3] host name
mesh send mm[0-3] host vms
.compress false ns run host cpus
ns run ns run host
ns run read foo
ns run vm launch kvm 2
mesh send all ns run host
mesh send all mesh send all host
clear namespace peer
