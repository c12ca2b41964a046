# The queue, what the scheduler has done, and what there is to dry-run.
namespace queued
ns del-hosts all
ns add-hosts mm[1-2]
ns queue
ns schedule status
ns schedule
ns schedule dry-run
ns schedule dump
ns schedule mv a mm1

# entries keep the configuration of their time; what is launched by number has no names yet
ns queueing true
vm config memory 512
vm config tag role web
vm launch kvm a[1-2]
clear vm config
vm config vcpus 2
vm config net LAN
vm config schedule mm2
vm launch kvm 1
ns queue

# what cannot be placed anywhere makes no plan, and stays queued
ns limit vcpus 3
ns schedule dry-run
ns schedule dump
ns limit vcpus -1
ns schedule dry-run

# a line that cannot be carried out leaves the plan as it was
ns schedule mv nobody mm1
ns schedule mv a1 host1
ns schedule mv a1 mm2
ns schedule dump

# more queueing drops it
vm launch kvm late
ns schedule dump
ns schedule dry-run
ns schedule
ns queue
.columns state,launched,failures,total,hosts ns schedule status
.columns name,host,vcpus,memory vm info

# hosts that nobody is left on cannot be planned for
vm launch kvm more
ns del-hosts all force
ns schedule dry-run
ns schedule
ns flush
ns queue
.columns state,launched,failures,total,hosts ns schedule status
.columns start,nothing ns schedule status
.filter state=completed .columns launched,total ns schedule status
.columns launched,total .filter state=completed ns schedule status
.filter state=running ns schedule status
clear namespace all
