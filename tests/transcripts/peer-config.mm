# Fields of the configuration, and saved ones, in the peer's own words.
namespace peer
vm config memory
vm config memory foo
vm config memory 1024
vm config memory
clear vm config memory
vm config memory
vm config vcpus foo
vm config vcpus 2
vm config vcpus
clear vm config vcpus
vm config vcpus
vm config snapshot
vm config snapshot false
vm config snapshot
clear vm config snapshot
vm config snapshot
vm config disk
vm config disk /a
vm config disk /b /c
vm config disk
clear vm config disk
vm config disk
vm config kernel
vm config kernel /boot/k
vm config kernel
clear vm config kernel
vm config qemu-append
vm config qemu-append a b c
vm config qemu-append
clear vm config qemu-append
vm config append a b c
vm config append
clear vm config append
vm config append
vm config net
vm config net 100
vm config net
vm config net test_bridge,100,02:00:00:00:00:01 test_bridge,200,e1000
vm config net
vm launch kvm vm6
.columns name,bridge,vlan .filter name=vm6 vm info

# saved ones
vm config restore
vm config restore nothing
vm launch kvm x nothing
vm config save one
vm config save two
vm config restore
clear vm config
vm config net
vm config restore one
vm config net
vm config clone nobody
vm config clone vm6
vm config net
clear namespace peer
clear vlans all
