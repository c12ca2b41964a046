# names
namespace red
ns del-hosts all
ns add-hosts mm[0-1]
vm launch kvm 0
vm launch kvm -5
vm launch kvm all
vm launch kvm a[1-2
vm launch kvm a[2-1]
vm launch kvm a1,a[1-2]
vm launch kvm a/b
vm launch container a
vm launch kvm a[1-2]
vm launch kvm a2
vm launch kvm 2
.columns id,name,state,host vm info

# power
vm start a1
vm start a1
vm stop a2
vm stop a1
vm start all
vm kill a1,nobody
vm start nobody
vm kill a1
vm flush a2
.columns name,state vm info
vm start a1
vm flush
.columns name,state vm info
.filter state=running .columns name vm info
.filter name~vm- .columns name,state vm info
.columns nothing vm info

# tags
vm tag a1 color red
vm tag a1
vm tag a1 color
vm tag all shape round
.columns name,tags vm info
clear vm tag a1 color
.columns name,tags .filter name=a1 vm info
clear vm tag
.columns name,tags vm info

# what cannot be placed or carried out leaves nothing behind
vm config coschedule 0
vm launch kvm s[1-3]
clear vm config
vm config schedule mm3
vm config schedule mm1
vm config colocate a1
clear vm config
vm config colocate nobody
vm launch kvm c
vm config colocate c
vm launch kvm c
clear vm config
vm config uuid 11111111-1111-1111-1111-111111111111
vm launch kvm u[1-2]
vm launch kvm u
vm launch kvm v
clear vm config
vm config vcpus foo
vm config coschedule -2
vm config disk relative.qcow2
vm launch kvm d
.columns name,state vm info
clear namespace all
