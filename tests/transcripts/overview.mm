# The cluster at a glance: how many VMs of each namespace are how.
namespace red
vm launch kvm a[1-4]
vm start a[1-2]
vm stop a2
ns queueing true
vm launch kvm 3
namespace blue vm launch kvm b
vm kill a3
mesh overview
.filter running=1 mesh overview
.columns namespace,queued mesh overview
vm flush
mesh overview
.columns namespace,lots mesh overview
