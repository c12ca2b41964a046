# the source document's own examples: hosts of a namespace
namespace hosts
ns hosts
ns del-hosts all
ns add-hosts host[1-5]
ns add-hosts host[6-10]
ns hosts
ns del-hosts host[1,3,5,7,9]
ns hosts
ns add-hosts nobody
ns add-hosts all
ns hosts

# one VM alone on a host of the user's choice
namespace solo
vm config schedule host50
vm config coschedule 0
vm launch kvm solo
.columns name,host vm info

# four VMs that allow three others
namespace quad
ns del-hosts all
ns add-hosts mm[0-3]
vm config coschedule 3
vm launch kvm quad[0-3]
.columns name,host vm info

# a pair on one host, first beside others, then alone
namespace pair
ns del-hosts all
ns add-hosts host[1-3]
vm launch kvm a
vm config colocate a
vm launch kvm b
.columns name,host vm info
namespace alone
ns del-hosts all
ns add-hosts host[4-6]
ns queueing true
vm config coschedule 1
vm launch kvm a
vm config colocate a
vm launch kvm b
clear vm config
vm launch kvm c[1-4]
ns schedule dry-run
ns schedule
.columns name,host vm info

# queue, dry run, edits, and their application
namespace vms
ns del-hosts all
ns add-hosts mm[0-3]
ns queueing true
vm launch kvm vm[0-3]
ns schedule dump
ns schedule dry-run
ns schedule mv vm0 mm1
ns schedule mv vm[1-2] mm0
ns schedule mv vm1 host1
ns schedule mv vm9 mm0
ns schedule dump
ns schedule
.columns name,state,namespace vm info
vm start all
.columns name,host,state vm info

# modifiers and namespaces nest either way round
namespace minimega
.columns name,state,namespace namespace quad vm info
namespace quad .columns name,state,namespace vm info
clear namespace all
namespace
