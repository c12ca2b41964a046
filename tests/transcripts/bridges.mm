# the bridges of a namespace, and their uplinks
namespace red
bridge
ns bridge lan
vm config networks lan,LAN BACK 200
vm config schedule mm1
vm launch kvm web
tap create LAN bridge plain name h
bridge
bridge trunk lan eth1 on mm1
bridge trunk plain eth1
bridge

# what cannot be an uplink, or would be a loop
bridge trunk lan eth1 on mm2
bridge trunk lan eth2 on mm1
bridge trunk mega_bridge eth1 on mm1
bridge trunk mega_bridge eth0 on mm1
bridge trunk mega_bridge eth9 on mm1
bridge trunk mega_bridge eth1 on nobody
bridge trunk mega_bridge h
tap delete eth1
tap mirror eth1 h

# a VLAN that comes later is carried too; another namespace sees the uplink of the shared bridge
bridge trunk mega_bridge eth2 on mm1
vm net connect web 2 DMZ mega_bridge
namespace blue vm config networks WEB
namespace blue vm launch kvm other
namespace blue bridge
namespace blue bridge trunk mega_bridge eth1 on mm3
bridge
bridge notrunk lan eth9 on mm1
bridge notrunk mega_bridge eth1 on mm1
bridge notrunk lan eth1 on mm1
bridge trunk lan eth1 on mm2
ns del-bridge lan
clear namespace red
namespace blue bridge
namespace blue bridge trunk mega_bridge eth1 on mm3
clear namespace all
