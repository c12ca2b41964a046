# limits of a namespace
namespace red
ns del-hosts all
ns add-hosts mm[1-3]
ns limit
ns limit vcpus 3
ns limit vms -2
ns limit vcpus zzz
ns limit vcpus
vm launch kvm a[1-4]
ns queueing true
vm launch kvm a[1-4]
ns schedule

# what can be placed is, the rest stays queued and says why
ns schedule partial
.columns name,host,state vm info
ns explain a1
ns explain a4
ns explain nobody
ns limit vcpus 2
ns limit vcpus -1
ns limit

# a host that is drained gets nothing new, and its VMs stay
host drain nobody
host drain mm1 dry-run
host drain mm1
.columns host,vms,state host
ns explain a1
vm kill a1
vm start a1
ns schedule dry-run
ns schedule mv a4 mm1
ns schedule mv a4 mm3

# the ground moves under a dry run
namespace blue
ns del-hosts all
ns add-hosts mm3
vm launch kvm b[1-2]
vm config coschedule 0
vm launch kvm solo
namespace red
ns schedule dump
host drain mm3
ns schedule
ns schedule partial
host resume mm3
ns schedule
.columns name,host vm info

# what ended comes back where it is let in
vm start a1
host resume mm1
vm start a1
.columns name,host,state vm info

# mixed clusters compare relatively; a forced plan is the user's word
ns load memload relative
vm config coschedule 1
vm launch kvm c[1-2]
ns schedule dry-run
ns schedule mv c[1-2] mm2
ns schedule mv c[1-2] mm2 force
ns schedule
ns schedule force
.columns name,host vm info
clear namespace all
