# the working configuration: set, get, clear, save, restore, clone
namespace red
vm config memory 512
vm config memory
vm config mem
vm config vcpus 2
vm config net LAN foo,100,00:11:22:33:44:55
vm config net
vm config tag color red
vm config tag
vm config save small
clear vm config memory
vm config memory
clear vm config
vm config vcpus
vm config restore
vm config restore small
vm config vcpus
vm config restore nothing
vm launch kvm a
clear vm config
vm config clone a
vm config net
vm config clone nobody
vm config
vm launch kvm b small
vm launch kvm c nothing
.columns name,vcpus,memory,vlan vm info
vm config save
vm config save a/b
vm config save all
vm config clone
vm config restore small twice
clear vm config nothing
clear vm config memory key
clear vm config s
clear vm config tag nothing
vm config nothing 5
vm config s
clear namespace all
