# red: six guests on a private bridge of its own. blue.mm is the same but for one address: the same bridge
# name, VLAN number and addresses, in another namespace.
namespace red
ns bridge lan
ns queueing true
vm config kernel /var/cache/shoal/guest/vmlinuz
vm config initrd /var/cache/shoal/guest/initrd.gz
vm config memory 80
vm config serial-ports 1
# a plain processor: an emulated kernel has half as much to set up as with all that QEMU could offer
vm config cpu qemu64
vm config networks lan,100,virtio-net-pci

vm config append quiet no_timer_check tsc=reliable cryptomgr.notests shoal.name=red/vm1 shoal.ip=10.0.0.1/24
vm launch kvm vm1
vm config append quiet no_timer_check tsc=reliable cryptomgr.notests shoal.name=red/vm2 shoal.ip=10.0.0.2/24
vm launch kvm vm2
vm config append quiet no_timer_check tsc=reliable cryptomgr.notests shoal.name=red/vm3 shoal.ip=10.0.0.3/24
vm launch kvm vm3
vm config append quiet no_timer_check tsc=reliable cryptomgr.notests shoal.name=red/vm4 shoal.ip=10.0.0.4/24
vm launch kvm vm4
vm config append quiet no_timer_check tsc=reliable cryptomgr.notests shoal.name=red/vm5 shoal.ip=10.0.0.5/24
vm launch kvm vm5
vm config append quiet no_timer_check tsc=reliable cryptomgr.notests shoal.name=red/vm6 shoal.ip=10.0.0.6/24
vm launch kvm vm6

# where they would go, edited by hand, and applied
ns schedule dry-run
ns schedule mv vm6 mm1
ns schedule dump
ns schedule
vm start all
.columns name,state,host,vlan vm info
ns schedule status
